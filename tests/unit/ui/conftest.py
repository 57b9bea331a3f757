"""Rows of recorded jobs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.models import JobRow, TaskInstanceKey
from benchmarks.recorded_jobs import NOW


def _row(name: str = "job", *, dag_id: str = "dag", task_id: str = "task", **changes: Any) -> JobRow:
    values: dict[str, Any] = {
        "task_instance": TaskInstanceKey(1, dag_id, "run", task_id, -1),
        "job_name": name,
        "status": JobStatus.COMPLETED,
        "submitted_at": NOW,
        "ended_at": None,
        "duration_seconds": None,
        "instance_seconds": None,
        "try_number": 1,
        "awaited": True,
        "stored": False,
        **changes,
    }
    return JobRow(**values)


@pytest.fixture
def row_factory():
    """A function that returns a row of a completed job, with the given changes."""
    return _row
