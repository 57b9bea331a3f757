"""Which recorded statuses still hold: a job's end is recorded by its task, and a task may be gone before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.rows import Standing

if TYPE_CHECKING:
    from airflow_sm_processing.ui.rows import JobRow

__all__ = ["UNKNOWN", "TaskState", "is_with_its_job", "judged"]

UNKNOWN = "Unknown"
"""Beside the values of `JobStatus`: the job may run or have ended."""
_UNAWAITED = "As it was submitted: its task doesn't wait for it, so nobody records its end."
_LEFT_STOPPING = "It was stopped when its task ended; nobody recorded its end."
_WITH_ITS_JOB = frozenset({"running", "deferred", "queued", "scheduled", "restarting", "up_for_reschedule"})


@dataclass(frozen=True)
class TaskState:
    """A task instance at one moment."""

    state: str | None
    try_number: int
    is_held: bool = True
    """Whether a worker or a triggerer has it, which would call its `on_kill`."""


def is_with_its_job(row: JobRow, task: TaskState | None) -> bool:
    """Tell whether the task instance still waits for the job."""
    return task is not None and not row.earlier and row.try_number >= task.try_number and task.state in _WITH_ITS_JOB


def judged(row: JobRow, task: TaskState | None) -> JobRow:
    """Judge a record by what its task instance is doing, None if that is gone; an ended job stays as it is."""
    if row.status.is_terminal or (row.awaited and is_with_its_job(row, task)):
        return row
    if row.status is JobStatus.STOPPING:
        return replace(row, standing=Standing(row.status.value, _LEFT_STOPPING))
    note = _reason(row, task) if row.awaited else _UNAWAITED
    return replace(row, standing=Standing(UNKNOWN if row.awaited else row.status.value, note))


def _reason(row: JobRow, task: TaskState | None) -> str:
    if task is None:
        return "The task instance is gone; nobody recorded the job's end."
    if row.earlier or row.try_number < task.try_number:
        return "The task went on to another try or job before this one's end was recorded."
    return f"The task is {task.state or 'cleared'}; it ended before it could record the job's end."
