"""The local SageMaker that the integration tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def sagemaker() -> Iterator[LocalSageMaker]:
    """One server for each test process, on a free port; faults that a test sets, it takes back."""
    with LocalSageMaker(stop_grace=5) as server:
        yield server
