"""The local SageMaker that the integration tests share."""

from __future__ import annotations

import uuid
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


@pytest.fixture
def environment(sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lead boto3 and the connection `aws_default` to the local SageMaker, and take back the faults of the test."""
    for name, value in sagemaker.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__DEPLOYMENT", uuid.uuid4().hex)  # each test has jobs of its own
    yield
    sagemaker.set_faults()
