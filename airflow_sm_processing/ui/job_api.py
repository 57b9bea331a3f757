"""The API of one task instance's tab."""

from datetime import datetime, timezone
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.taskinstance import TaskInstance
from fastapi import APIRouter, Depends, HTTPException, Query, status
from sqlalchemy import select

from airflow_sm_processing.ui.answers import Answer, BasePath
from airflow_sm_processing.ui.jobs import task_url
from airflow_sm_processing.ui.jobs_api import reader
from airflow_sm_processing.ui.rows import Place
from airflow_sm_processing.ui.security import READS_TASK, CurrentUser, may_read_log
from airflow_sm_processing.ui.task_job import present_details, task_jobs

__all__ = ["router"]

router = APIRouter(prefix="/api/dags/{dag_id}/job")


def _task(
    session: SessionDep,
    dag_id: str,
    run_id: Annotated[str, Query(max_length=500)],
    task_id: Annotated[str, Query(max_length=500)],
    map_index: Annotated[str, Query(max_length=20)] = "-1",
) -> TaskInstance:
    """Find the task instance; Airflow's UI leaves `{MAP_INDEX}` as it is where the task isn't mapped."""
    index = int(map_index) if map_index.removeprefix("-").isdecimal() else -1
    task: TaskInstance | None = session.scalar(
        select(TaskInstance).where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id == run_id,
            TaskInstance.task_id == task_id,
            TaskInstance.map_index == index,
        )
    )
    if task is None:
        detail = f"There is no task instance {task_id!r} (map index {index}) in run {run_id!r} of DAG {dag_id!r}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return task


TaskOfRequest = Annotated[TaskInstance, Depends(_task)]


@router.get("", dependencies=READS_TASK)
def show_job(session: SessionDep, task: TaskOfRequest, user: CurrentUser, base: BasePath) -> Answer:
    """Give a task instance's job, and those of its earlier tries."""
    found = task_jobs(session, reader, task, base)
    notes: list[str] = []
    details = None
    if found.present is not None:
        details = present_details(session, found.present.row.place, found.present.row.job_name)
    if details is not None and not may_read_log(task.dag_id, user):
        del details["log_tail"]
        notes.append("You may not read the logs of this DAG's tasks.")
    place = Place(0, task.dag_id, task.run_id, task.task_id, task.map_index)
    return Answer(
        {
            "job": found.job,
            "details": details,
            "earlier": found.earlier,
            "task": _shown_task(task),
            "stop": found.offer(asks_sagemaker=False).shown(),
            "logs_url": task_url(place, base),
            "now": datetime.now(timezone.utc).isoformat(),
            "notes": notes,
        }
    )


def _shown_task(task: TaskInstance) -> dict[str, Any]:
    return {
        "state": task.state,
        "try_number": task.try_number,
        "start_date": task.start_date and task.start_date.isoformat(),
        "end_date": task.end_date and task.end_date.isoformat(),
        "operator": task.operator,
    }
