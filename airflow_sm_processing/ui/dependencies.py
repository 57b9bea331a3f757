"""The parameters that routes take from a request, and the JSON responses."""

import json
from datetime import datetime, timezone
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.taskinstance import TaskInstance
from fastapi import Depends, HTTPException, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import select

from airflow_sm_processing.ui import PREFIX
from airflow_sm_processing.ui.records import Filters
from airflow_sm_processing.ui.sanitize import YEARS

__all__ = ["AsciiJSONResponse", "BasePath", "RequestedFilters", "RequestedTask", "validation_error_response"]

_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (YEARS.start, YEARS.stop))
FilterText = Annotated[str, Query(max_length=500)]
IdText = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")]  # PostgreSQL accepts no NUL
MapIndex = Annotated[str, Query(pattern=r"^(-1|[0-9]{1,9}|\{MAP_INDEX\})$")]


class AsciiJSONResponse(JSONResponse):
    """JSON in ASCII: the text of a record may have lone surrogates, which UTF-8 can't encode."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def validation_error_response(_: Request, error: Exception) -> AsciiJSONResponse:
    """Return the errors in an invalid request, without its values, which JSON may not be able to represent."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{name: item[name] for name in ("type", "loc", "msg")} for item in errors]
    return AsciiJSONResponse({"detail": detail}, status_code=422)


def _base_path(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.removesuffix(PREFIX)


BasePath = Annotated[str, Depends(_base_path)]
"""The path of Airflow's base URL, without a slash at its end."""


def _filters(
    statuses: Annotated[list[str], Query(alias="status", default_factory=list, max_length=20)],
    dag_id: FilterText = "",
    task_id: FilterText = "",
    name: FilterText = "",
    since: FilterText = "",
    until: FilterText = "",
) -> Filters:
    return Filters(
        statuses=frozenset(statuses),
        dag_id=dag_id,
        task_id=task_id,
        name=name,
        since=_parse_time("since", since),
        until=_parse_time("until", until),
    )


RequestedFilters = Annotated[Filters, Depends(_filters)]


def _parse_time(parameter: str, value: str) -> datetime | None:
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError as error:
        detail = f"{parameter}={value!r} must be an ISO 8601 time, such as 2026-11-22T19:00:00Z."
        raise HTTPException(status.HTTP_400_BAD_REQUEST, detail) from error
    time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    return min(max(time, _EARLIEST), _LATEST)


def _task(
    request: Request, session: SessionDep, dag_id: str, run_id: IdText, task_id: IdText, map_index: MapIndex = "-1"
) -> TaskInstance:
    """Return the task instance, locked unless the request only reads."""
    index = -1 if map_index.startswith("{") else int(map_index)  # Airflow's UI fills in no index if nothing is mapped
    query = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == index,
    )
    if request.method != "GET":
        query = query.with_for_update(of=TaskInstance)
    task: TaskInstance | None = session.scalar(query)
    if task is None:
        detail = f"There is no task instance {task_id!r} (map index {index}) in run {run_id!r} of DAG {dag_id!r}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return task


RequestedTask = Annotated[TaskInstance, Depends(_task)]
