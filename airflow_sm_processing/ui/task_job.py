"""The jobs of one task instance, with all that there is to show of the present one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from airflow_sm_processing.ui.hostile import MalformedError
from airflow_sm_processing.ui.jobs import judged_rows, shown_jobs
from airflow_sm_processing.ui.reading import read_task
from airflow_sm_processing.ui.rows import JobRow, Place
from airflow_sm_processing.ui.selection import ordered
from airflow_sm_processing.ui.shown import shown_details
from airflow_sm_processing.ui.stopping import StopOffer, offer
from airflow_sm_processing.ui.tables import details_of
from airflow_sm_processing.ui.trust import TaskState

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session


_MOST_EARLIER = 100

__all__ = ["TaskJobs", "place_of", "present_details", "task_jobs"]


@dataclass(frozen=True)
class TaskJobs:
    """A task instance's present job, if it has one, and those of earlier tries."""

    present: JobRow | None
    job: dict[str, Any] | None
    """The present one's record."""
    earlier: list[dict[str, Any]]
    """Records, the newest first; a hundred at the most."""
    task: TaskState

    def offer(self, job: dict[str, Any] | None, *, asks_sagemaker: bool) -> StopOffer:
        """Tell how the present job can be stopped; `job` is its record, brought up to date or not."""
        if self.present is None or job is None:
            return StopOffer(why_not="The task has no job.")
        return offer(self.present, job, self.task, asks_sagemaker=asks_sagemaker)


def place_of(task: TaskInstance) -> Place:
    """Give the place of a task instance."""
    return Place(task.dag_run.id, task.dag_id, task.run_id, task.task_id, task.map_index)


def task_jobs(session: Session, task: TaskInstance, base: str) -> TaskJobs:
    """Give the jobs of a task instance."""
    rows = ordered(judged_rows(session, read_task(session, place_of(task)).rows), "submitted_at", descending=True)
    jobs = shown_jobs(session, rows, base)
    present = next((item for item in rows if not item.earlier), None)
    return TaskJobs(
        present=present,
        job=next((job for job in jobs if not job["superseded"]), None),
        earlier=[job for job in jobs if job["superseded"]][:_MOST_EARLIER],
        task=TaskState(task.state, task.try_number, is_held=_is_held(session, task)),
    )


def _is_held(session: Session, task: TaskInstance) -> bool:
    """Tell whether a process has the task: a deferred one has none before a triggerer takes its trigger."""
    if task.state != TaskInstanceState.DEFERRED:
        return task.state == TaskInstanceState.RUNNING
    return session.scalar(select(Trigger.triggerer_id).where(Trigger.id == task.trigger_id)) is not None


def present_details(session: Session, place: Place, job_name: str) -> dict[str, Any] | None:
    """Give the details of a task instance's present job; None if there are none, or not of this job."""
    content = details_of(session, place)
    if content is None:
        return None
    try:
        details = shown_details(content)
    except MalformedError:
        return None
    return details if details.pop("job_name") == job_name else None
