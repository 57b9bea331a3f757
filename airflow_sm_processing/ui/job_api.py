"""The API of one task instance's tab."""

from datetime import datetime, timezone
from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.taskinstance import TaskInstance
from fastapi import APIRouter

from airflow_sm_processing.ui.answers import Answer, BasePath
from airflow_sm_processing.ui.asking import asks_sagemaker
from airflow_sm_processing.ui.jobs import task_url
from airflow_sm_processing.ui.security import READS_TASK, CurrentUser, may_read_log
from airflow_sm_processing.ui.state import asker
from airflow_sm_processing.ui.task_job import place_of, present_details, task_jobs
from airflow_sm_processing.ui.task_request import TaskOfRequest

__all__ = ["router"]

router = APIRouter(prefix="/api/dags/{dag_id}/job")


@router.get("", dependencies=READS_TASK)
def show_job(session: SessionDep, task: TaskOfRequest, user: CurrentUser, base: BasePath) -> Answer:
    """Give a task instance's job, and those of its earlier tries."""
    found, asks = task_jobs(session, task, base), asks_sagemaker()
    job = found.job
    if asks and job is not None:
        (job,) = asker.brought_up_to_date([job])
    details = None if job is None else present_details(session, place_of(task), job["job_name"])
    notes: list[str] = []
    if details is not None and not may_read_log(task.dag_id, user):
        del details["log_tail"]
        notes.append("You may not read the logs of this DAG's tasks.")
    return Answer(
        {
            "job": job,
            "details": details,
            "earlier": found.earlier,
            "task": _shown(task),
            "stop": found.offer(job, asks_sagemaker=asks).shown(),
            "logs_url": task_url(place_of(task), base),
            "now": datetime.now(timezone.utc).isoformat(),
            "notes": notes,
            "asks_sagemaker": asks,
        }
    )


def _shown(task: TaskInstance) -> dict[str, Any]:
    return {
        "state": task.state,
        "try_number": task.try_number,
        "start_date": task.start_date and task.start_date.isoformat(),
        "end_date": task.end_date and task.end_date.isoformat(),
        "operator": task.operator,
    }
