"""Jobs as the pages show them: reconciled with their task instances, and with their full records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from airflow_sm_processing.operators.records import STORED_RECORD
from airflow_sm_processing.ui.job_status import TaskInstanceKey, TaskState, reconcile, stop_option
from airflow_sm_processing.ui.models import Job, StopOption, parse_details, parse_record
from airflow_sm_processing.ui.queries import sort_rows
from airflow_sm_processing.ui.records import read_task_instance
from airflow_sm_processing.ui.sanitize import MalformedRecordError
from airflow_sm_processing.ui.tables import RowKey, record_tables, select_details, select_task_states
from airflow_sm_processing.xcoms import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from airflow_sm_processing.ui.job_status import JobRow
    from airflow_sm_processing.ui.models import JobDetailsWithLog
    from airflow_sm_processing.ui.queries import Filters

__all__ = [
    "TaskInstanceJobs",
    "filter_rows",
    "load_jobs",
    "load_task_instance_jobs",
    "read_details",
    "task_instance_key",
    "task_url",
]

_MAX_EARLIER = 100


def filter_rows(session: Session, rows: Iterable[JobRow], filters: Filters) -> list[JobRow]:
    """Return the rows that match the filters, reconciled."""
    matching = _reconcile(session, [row for row in rows if filters.match(row)])
    return [row for row in matching if filters.match_status(row)]


def _reconcile(session: Session, rows: Sequence[JobRow]) -> list[JobRow]:
    """Reconcile rows with their task instances, which are selected only where they make a difference."""
    uncertain = {row.task_instance for row in rows if row.awaited and not row.status.is_terminal}
    states = select_task_states(session, uncertain)
    return [reconcile(row, states.get(row.task_instance)) for row in rows]


def load_jobs(session: Session, rows: Sequence[JobRow], base: str) -> list[Job]:
    """Return jobs with their full records, without those whose records were deleted meanwhile.

    Args:
        session: A session on Airflow's database.
        rows: The jobs.
        base: The path of Airflow's base URL, without a slash at its end.
    """
    states = select_task_states(session, {row.task_instance for row in rows})
    texts: dict[tuple[bool, RowKey], str | None] = {}
    for table in record_tables():
        keys = [_row_key(row) for row in rows if row.stored == table.stored]
        texts |= {(table.stored, item.key): item.text for item in table.select_rows(session, keys)}
    jobs = [_job(row, texts.get((row.stored, _row_key(row))), states.get(row.task_instance), base=base) for row in rows]
    return [job for job in jobs if job is not None]


def _row_key(row: JobRow) -> RowKey:
    key = f"{STORED_RECORD}{row.job_name}" if row.stored else RECORD_KEY
    return RowKey(row.task_instance.dag_run, row.task_instance.task_id, row.task_instance.map_index, key)


def _job(row: JobRow, text: str | None, state: TaskState | None, *, base: str) -> Job | None:
    if text is None:
        return None
    try:
        record = parse_record(text)
    except MalformedRecordError:
        return None
    key = row.task_instance
    fields = {
        **dict(record),
        "status": row.current_status,
        "status_note": row.status_note,
        "dag_id": key.dag_id,
        "run_id": key.run_id,
        "task_id": key.task_id,
        "map_index": key.map_index,
        "superseded": row.superseded,
        "task_url": task_url(key, base),
        "task_state": state and state.state,
    }
    return Job.model_validate(fields)


def task_url(key: TaskInstanceKey, base: str) -> str:
    """Return the address of a task instance in Airflow's UI."""
    dag_id, run_id, task_id = (quote(part, safe="") for part in (key.dag_id, key.run_id, key.task_id))
    mapped = f"/mapped/{key.map_index}" if key.map_index >= 0 else ""
    return f"{base}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}"


@dataclass(frozen=True)
class TaskInstanceJobs:
    """A task instance's current job, if it has one, and those of earlier tries."""

    row: JobRow | None
    """The current job's row."""
    job: Job | None
    """The current job."""
    earlier: list[Job]
    """Earlier jobs, newest first; at most a hundred."""
    task: TaskState

    def stop_option(self, job: Job | None, *, live_status: bool) -> StopOption:
        """Return how the current job can be stopped; `job` is that job, with its status from SageMaker if asked."""
        if self.row is None or job is None:
            return StopOption(why_not="The task has no processing job.")
        return stop_option(self.row, job, self.task, live_status=live_status)


def task_instance_key(task: TaskInstance) -> TaskInstanceKey:
    """Return the key of a task instance."""
    return TaskInstanceKey(task.dag_run.id, task.dag_id, task.run_id, task.task_id, task.map_index)


def load_task_instance_jobs(session: Session, task: TaskInstance, base: str) -> TaskInstanceJobs:
    """Return the jobs of a task instance."""
    rows = _reconcile(session, read_task_instance(session, task_instance_key(task)).rows)
    rows_newest_first = sort_rows(rows, "submitted_at", descending=True)
    jobs = load_jobs(session, rows_newest_first, base)
    return TaskInstanceJobs(
        row=next((row for row in rows_newest_first if not row.superseded), None),
        job=next((job for job in jobs if not job.superseded), None),
        earlier=[job for job in jobs if job.superseded][:_MAX_EARLIER],
        task=TaskState(task.state, task.try_number, has_process=_has_process(session, task)),
    )


def _has_process(session: Session, task: TaskInstance) -> bool:
    """Return whether a process runs the task: a deferred task has none until a triggerer picks its trigger up."""
    if task.state != TaskInstanceState.DEFERRED:
        return task.state == TaskInstanceState.RUNNING
    return session.scalar(select(Trigger.triggerer_id).where(Trigger.id == task.trigger_id)) is not None


def read_details(session: Session, key: TaskInstanceKey, job_name: str | None) -> JobDetailsWithLog | None:
    """Return the details of a task instance's current job, or None if there are none, or they are another job's."""
    text = select_details(session, key)
    if text is None:
        return None
    try:
        details = parse_details(text)
    except MalformedRecordError:
        return None
    return details if details.job_name == job_name else None
