"""Whether a user can have a task's job stopped from the page, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.trust import UNKNOWN, is_with_its_job

if TYPE_CHECKING:
    from airflow_sm_processing.ui.rows import JobRow
    from airflow_sm_processing.ui.trust import TaskState

__all__ = ["BY_SAGEMAKER", "BY_TASK", "StopOffer", "offer"]

BY_TASK = "task"
"""The task is marked failed, and stops its job as it does for every user who marks it so."""
BY_SAGEMAKER = "sagemaker"
"""The web server asks SageMaker to stop the job, and the task ends by its `on_stopped`."""
_ELSEWHERE = "Stop it in the AWS console, or let the web server ask SageMaker: [sm_processing] ask_sagemaker = True."


@dataclass(frozen=True)
class StopOffer:
    """What the page's stop button does."""

    how: str | None = None
    why_not: str | None = None

    def shown(self) -> dict[str, Any]:
        """Give it as the page takes it."""
        return {"possible": self.how is not None, **asdict(self)}


def offer(row: JobRow, record: dict[str, Any], task: TaskState | None, *, asks_sagemaker: bool) -> StopOffer:
    """Tell how a task's present job can be stopped."""
    status = record["status"]
    if status not in (JobStatus.IN_PROGRESS, UNKNOWN):
        return StopOffer(why_not=f"The job is {status}.")
    if asks_sagemaker:
        return StopOffer(how=BY_SAGEMAKER)
    obstacle = _obstacle(row, record, task)
    return StopOffer(how=BY_TASK) if obstacle is None else StopOffer(why_not=obstacle)


def _obstacle(row: JobRow, record: dict[str, Any], task: TaskState | None) -> str | None:
    """Say why ending the task wouldn't stop its job; None if it would."""
    if not row.awaited:
        return f"The task doesn't wait for its job (wait_for_completion=False). {_ELSEWHERE}"
    if task is None or not is_with_its_job(row, task):
        return f"{row.status_note} {_ELSEWHERE}"
    if not record["stop_on_kill"]:
        return f"The task leaves its job running when it is ended (stop_on_kill=False). {_ELSEWHERE}"
    return None if task.is_held else "The task is between two processes: none would stop its job. Try again soon."
