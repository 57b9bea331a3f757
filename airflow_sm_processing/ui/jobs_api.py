"""The API of the page of all jobs."""

from datetime import timedelta
from typing import Annotated, Literal

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Query

from airflow_sm_processing.ui.answers import Answer, BasePath, FiltersOfRequest
from airflow_sm_processing.ui.asking import asks_sagemaker
from airflow_sm_processing.ui.jobs import selected, shown_jobs
from airflow_sm_processing.ui.reading import Recorded
from airflow_sm_processing.ui.security import ReadableDags
from airflow_sm_processing.ui.selection import ordered
from airflow_sm_processing.ui.state import asker, reader
from airflow_sm_processing.ui.totals import totals

__all__ = ["router"]

router = APIRouter(prefix="/api")

SortKey = Literal[
    "submitted_at", "ended_at", "duration_seconds", "instance_seconds", "job_name", "status", "dag_id", "task_id"
]


@router.get("/jobs")
def list_jobs(
    session: SessionDep,
    dag_ids: ReadableDags,
    filters: FiltersOfRequest,
    base: BasePath,
    sort: SortKey = "submitted_at",
    descending: bool = True,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Answer:
    """Give a page of the jobs that the filters take."""
    recorded = reader.read(session, dag_ids)
    rows = ordered(selected(session, recorded.rows, filters), sort, descending=descending)
    jobs = shown_jobs(session, rows[offset : offset + limit], base)
    asks = asks_sagemaker()
    return Answer(
        {
            "total": len(rows),
            "jobs": asker.brought_up_to_date(jobs) if asks else jobs,
            "unreadable": len(recorded.unreadable),
            "notes": notes(recorded),
            "asks_sagemaker": asks,
        }
    )


@router.get("/totals")
def sum_jobs(
    session: SessionDep,
    dag_ids: ReadableDags,
    filters: FiltersOfRequest,
    tz_offset: Annotated[int, Query(ge=-900, le=900)] = 0,
) -> Answer:
    """Sum up the jobs that the filters take.

    `tz_offset` is that of the user's clock from UTC, in minutes, positive in the east.
    """
    recorded = reader.read(session, dag_ids)
    rows = selected(session, recorded.rows, filters)
    offset = timedelta(minutes=tz_offset)
    return Answer(totals(rows, since=filters.since, until=filters.until, offset=offset))


def notes(recorded: Recorded) -> list[str]:
    """Say what is missing from what was found."""
    said = []
    if count := len(recorded.unreadable):
        what = "1 record was" if count == 1 else f"{count} records were"
        reason = "written by something else than this package's tasks, or kept elsewhere by a custom XCom backend"
        said.append(f"{what} passed over: {reason}.")
    if recorded.is_cut:
        said.append(f"Only the newest {reader.most} records are shown.")
    return said
