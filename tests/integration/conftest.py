"""The local SageMaker that the integration tests share."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
LONGEST = (
    "test_stop.py",
    "test_bad_input.py",
    "test_modes.py",
    "test_policies.py",
    "test_crowd.py",
    "test_capacity.py",
)
"""The files that take a minute or more: begun last, each would keep one process busy when the others have ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST or HERE not in item.path.parents)


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
