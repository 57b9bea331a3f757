"""How the app answers, and what it takes of a request."""

import json
from datetime import datetime, timezone
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from airflow_sm_processing.ui.hostile import YEARS
from airflow_sm_processing.ui.plugin import PREFIX
from airflow_sm_processing.ui.selection import Filters

__all__ = ["Answer", "BasePath", "FiltersOfRequest", "refusal"]

_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (YEARS.start, YEARS.stop))
Text = Annotated[str, Query(max_length=500)]


class Answer(JSONResponse):
    """JSON in ASCII: a record's text may have characters that UTF-8 can't carry."""

    def render(self, content: Any) -> bytes:
        """Give the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def refusal(_: Request, error: Exception) -> Answer:
    """Answer a request that isn't as it should be: with what is wrong, and not with what it holds."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    said = [{name: item[name] for name in ("type", "loc", "msg")} for item in errors]
    return Answer({"detail": said}, status_code=422)


def _base_path(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.removesuffix(PREFIX)


BasePath = Annotated[str, Depends(_base_path)]
"""The path of Airflow's base URL, without a slash at its end."""


def _filters(
    statuses: Annotated[list[str], Query(alias="status", default_factory=list, max_length=20)],
    dag_id: Text = "",
    task_id: Text = "",
    name: Text = "",
    since: Text = "",
    until: Text = "",
) -> Filters:
    return Filters(
        statuses=frozenset(statuses),
        dag_id=dag_id,
        task_id=task_id,
        name=name,
        since=_moment("since", since),
        until=_moment("until", until),
    )


FiltersOfRequest = Annotated[Filters, Depends(_filters)]


def _moment(parameter: str, value: str) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError as error:
        detail = f"{parameter}={value!r} must be an ISO 8601 time, such as 2026-11-22T19:00:00Z."
        raise HTTPException(status.HTTP_400_BAD_REQUEST, detail) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return min(max(moment, _EARLIEST), _LATEST)
