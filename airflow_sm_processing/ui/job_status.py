"""A recorded job, what its recorded status is worth, and whether the job can be stopped.

A task records the end of its job. A task that ends first leaves a record that says the job is running.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.models import StopOption

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_sm_processing.ui.models import Job

__all__ = ["UNKNOWN", "CurrentStatus", "JobRow", "TaskInstanceKey", "TaskState", "reconcile", "stop_option"]

UNKNOWN = "Unknown"
"""A status beside those of `JobStatus`: the job may be running or have ended."""
_NOT_AWAITED = "Status at submission: the task doesn't wait for this job, so its end isn't recorded."
_LEFT_STOPPING = "The job was being stopped when its task ended, so its end wasn't recorded."
_NO_PROCESS = "No worker or triggerer is running the task now, so nothing would stop its job. Try again soon."
_WAITING_STATES = frozenset({"running", "deferred", "queued", "scheduled", "restarting", "up_for_reschedule"})
_STOP_ELSEWHERE = (
    "Stop the job in the AWS console, or set [sm_processing] ask_sagemaker = True to let the API server stop it."
)


class TaskInstanceKey(NamedTuple):
    """The key of a task instance."""

    dag_run: int
    """The run's id in the database, which no other DAG's run has."""
    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True)
class TaskState:
    """A task instance's state at one moment."""

    state: str | None
    try_number: int
    has_process: bool = True
    """Whether a worker or triggerer runs the task, and would call its `on_kill`."""


@dataclass(frozen=True)
class CurrentStatus:
    """A job's status where the recorded one is out of date or needs an explanation."""

    status: str
    """A value of `JobStatus`, or `UNKNOWN`."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A recorded job in a list: only the fields that lists need, as there may be 100,000 rows in memory."""

    task_instance: TaskInstanceKey
    job_name: str
    status: JobStatus
    """The recorded status, which is certain only if it is terminal; see `reconcile`."""
    submitted_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    instance_seconds: float | None
    try_number: int
    awaited: bool
    stored: bool
    """Whether the record is in `task_state_store`; otherwise it is an XCom."""
    superseded: bool = False
    """Whether the task instance has a later job."""
    reconciled: CurrentStatus | None = None
    """None if the recorded status holds, or hasn't been reconciled yet."""

    @property
    def current_status(self) -> str:
        """The job's status: a value of `JobStatus`, or `UNKNOWN`."""
        return self.status.value if self.reconciled is None else self.reconciled.status

    @property
    def status_note(self) -> str | None:
        """An explanation of the status."""
        return None if self.reconciled is None else self.reconciled.note


def reconcile(row: JobRow, task: TaskState | None) -> JobRow:
    """Reconcile a recorded status with the state of its task instance, which is None if it was deleted."""
    if row.status.is_terminal or (row.awaited and _is_waiting_for(row, task)):
        return row
    if row.status is JobStatus.STOPPING:
        return replace(row, reconciled=CurrentStatus(row.status.value, _LEFT_STOPPING))
    if not row.awaited:
        return replace(row, reconciled=CurrentStatus(row.status.value, _NOT_AWAITED))
    return replace(row, reconciled=CurrentStatus(UNKNOWN, _why_unknown(row, task)))


def _is_waiting_for(row: JobRow, task: TaskState | None) -> bool:
    return (
        task is not None and not row.superseded and row.try_number >= task.try_number and task.state in _WAITING_STATES
    )


def _why_unknown(row: JobRow, task: TaskState | None) -> str:
    if task is None:
        return "The task instance was deleted before the job's end was recorded."
    if row.superseded or row.try_number < task.try_number:
        return "The task moved on to another try or job before this job's end was recorded."
    return f"The task ended before the job's end was recorded (task state: {task.state or 'cleared'})."


def stop_option(row: JobRow, job: Job, task: TaskState | None, *, live_status: bool) -> StopOption:
    """Return how a task's current job can be stopped.

    Args:
        row: The job's row, reconciled.
        job: The same job, with its status from SageMaker if it was asked.
        task: The state of the task instance.
        live_status: Whether the API server may call SageMaker.
    """
    if job.status not in (JobStatus.IN_PROGRESS, UNKNOWN):
        return StopOption(why_not=f"The job is already {job.status.lower()}.")
    if live_status:
        return StopOption(how="sagemaker")
    why_not = _why_task_would_not_stop(row, job, task)
    return StopOption(how="task") if why_not is None else StopOption(why_not=why_not)


def _why_task_would_not_stop(row: JobRow, job: Job, task: TaskState | None) -> str | None:
    if not row.awaited:
        return f"The task doesn't wait for this job (wait_for_completion=False), so it can't stop it. {_STOP_ELSEWHERE}"
    if task is None or not _is_waiting_for(row, task):
        return f"{row.status_note} {_STOP_ELSEWHERE}"
    if not job.stop_on_kill:
        return f"The task is set to leave its job running when it is stopped (stop_on_kill=False). {_STOP_ELSEWHERE}"
    return None if task.has_process else _NO_PROCESS
