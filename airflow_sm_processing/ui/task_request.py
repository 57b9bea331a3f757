"""The task instance that a request is about."""

from typing import Annotated

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.taskinstance import TaskInstance
from fastapi import Depends, HTTPException, Query, Request, status
from sqlalchemy import select

__all__ = ["TaskOfRequest"]

Text = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")]  # PostgreSQL takes no NUL
Index = Annotated[str, Query(pattern=r"^(-1|[0-9]{1,9}|\{MAP_INDEX\})$")]


def _task(
    request: Request, session: SessionDep, dag_id: str, run_id: Text, task_id: Text, map_index: Index = "-1"
) -> TaskInstance:
    """Find it, locked where the request changes something."""
    index = -1 if map_index.startswith("{") else int(map_index)  # Airflow's UI fills in no index if nothing is mapped
    found = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == index,
    )
    if request.method != "GET":
        found = found.with_for_update(of=TaskInstance)
    task: TaskInstance | None = session.scalar(found)
    if task is None:
        detail = f"There is no task instance {task_id!r} (map index {index}) in run {run_id!r} of DAG {dag_id!r}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return task


TaskOfRequest = Annotated[TaskInstance, Depends(_task)]
