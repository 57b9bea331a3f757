"""The API of the pages."""

from datetime import datetime, timedelta, timezone
from typing import Annotated, Literal

from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.datamodels.task_instances import PatchTaskInstanceBody
from airflow.api_fastapi.core_api.routes.public.task_instances import patch_task_instance
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.utils.state import TaskInstanceState
from fastapi import APIRouter, Body, Depends, HTTPException, Query, status

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.ui.dependencies import AsciiJSONResponse, BasePath, RequestedFilters, RequestedTask
from airflow_sm_processing.ui.live_status import JobReference, LiveStatus, is_live_status_enabled
from airflow_sm_processing.ui.models import JobDetails, JobsPage, JobTab, JobTotals, StopResult, TaskSummary
from airflow_sm_processing.ui.records import (
    RecordReader,
    Records,
    filter_rows,
    load_jobs,
    load_task_instance_jobs,
    read_details,
    sort_rows,
    task_instance_key,
    task_url,
    total,
)
from airflow_sm_processing.ui.security import (
    TASK_EDIT_ACCESS,
    TASK_READ_ACCESS,
    CurrentUser,
    ReadableDags,
    may_read_log,
    require_stop_header,
)

__all__ = ["router"]

router = APIRouter(prefix="/api", default_response_class=AsciiJSONResponse)
reader = RecordReader()
live_status = LiveStatus()

SortKey = Literal[
    "submitted_at", "ended_at", "duration_seconds", "instance_seconds", "job_name", "status", "dag_id", "task_id"
]
_UNREADABLE_ONE = (
    "1 record can't be read and isn't listed: it wasn't written by a task of this package, or a custom XCom backend "
    "stores it elsewhere."
)
_UNREADABLE_MANY = (
    "{:,} records can't be read and aren't listed: they weren't written by tasks of this package, or a custom XCom "
    "backend stores them elsewhere."
)
_STOP_GUARDS = (*TASK_EDIT_ACCESS, Depends(require_stop_header), Depends(action_logging("sm_processing_stop")))


@router.get("/jobs")
def list_jobs(
    session: SessionDep,
    dag_ids: ReadableDags,
    filters: RequestedFilters,
    base: BasePath,
    sort: SortKey = "submitted_at",
    descending: bool = True,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> JobsPage:
    """Return a page of the jobs that match the filters."""
    records = reader.read(session, dag_ids)
    rows = sort_rows(filter_rows(session, records.rows, filters), sort, descending=descending)
    jobs = load_jobs(session, rows[offset : offset + limit], base)
    enabled = is_live_status_enabled()
    return JobsPage(
        total=len(rows),
        jobs=live_status.refresh(jobs) if enabled else jobs,
        unreadable=len(records.unreadable),
        notes=_notes(records),
        asks_sagemaker=enabled,
    )


def _notes(records: Records) -> list[str]:
    """Return what the user has to know about records that are missing from the list."""
    notes = []
    if count := len(records.unreadable):
        notes.append(_UNREADABLE_ONE if count == 1 else _UNREADABLE_MANY.format(count))
    if records.truncated:
        notes.append(f"Only the newest {reader.limit:,} records are listed.")
    return notes


@router.get("/totals")
def sum_jobs(
    session: SessionDep,
    dag_ids: ReadableDags,
    filters: RequestedFilters,
    tz_offset: Annotated[int, Query(ge=-900, le=900)] = 0,
) -> JobTotals:
    """Return the totals of the jobs that match the filters.

    `tz_offset` is the offset of the user's clock from UTC in minutes, positive in the east.
    """
    rows = filter_rows(session, reader.read(session, dag_ids).rows, filters)
    return total(rows, since=filters.since, until=filters.until, offset=timedelta(minutes=tz_offset))


@router.get("/dags/{dag_id}/job", dependencies=TASK_READ_ACCESS)
def show_job(session: SessionDep, task: RequestedTask, user: CurrentUser, base: BasePath) -> JobTab:
    """Return a task instance's current job, and those of its earlier tries."""
    key, found, enabled = (
        task_instance_key(task),
        load_task_instance_jobs(session, task, base),
        is_live_status_enabled(),
    )
    job = live_status.refresh([found.job])[0] if enabled and found.job is not None else found.job
    details: JobDetails | None = None
    notes: list[str] = []
    if job is not None and (recorded := read_details(session, key, job.job_name)) is not None:
        may_read = may_read_log(task.dag_id, user)
        details = recorded if may_read else recorded.without_log()
        notes += [] if may_read else ["You don't have permission to read this DAG's task logs."]
    return JobTab(
        job=job,
        details=details,
        earlier=found.earlier,
        task=TaskSummary.model_validate(task, from_attributes=True),
        stop=found.stop_option(job, live_status=enabled),
        logs_url=task_url(key, base),
        now=datetime.now(timezone.utc),
        notes=notes,
        asks_sagemaker=enabled,
    )


@router.post("/dags/{dag_id}/job/stop", dependencies=_STOP_GUARDS, status_code=status.HTTP_202_ACCEPTED)
def stop_job(
    session: SessionDep,
    task: RequestedTask,
    user: CurrentUser,
    base: BasePath,
    job_name: Annotated[str, Body(embed=True, max_length=500)],
) -> StopResult:
    """Stop the task instance's current job, if it is the one that the user saw."""
    found, enabled = load_task_instance_jobs(session, task, base), is_live_status_enabled()
    if found.job is None or found.job.job_name != job_name:
        raise HTTPException(
            status.HTTP_409_CONFLICT, f"{job_name!r} is no longer the task's current job. Reload the page."
        )
    option = found.stop_option(found.job, live_status=enabled)
    if option.how is None:
        raise HTTPException(status.HTTP_409_CONFLICT, f"This job can't be stopped from Airflow's UI. {option.why_not}")
    if option.how == "sagemaker":
        _stop_in_sagemaker(JobReference.of(found.job))
    else:
        _mark_failed(session, task, user)
    return StopResult(how=option.how)


def _mark_failed(session: SessionDep, task: RequestedTask, user: CurrentUser) -> None:
    """Mark the task failed as Airflow does for a user: the task's `on_kill` then stops the job."""
    patch_task_instance(
        dag_id=task.dag_id,
        dag_run_id=task.run_id,
        task_id=task.task_id,
        map_index=task.map_index,
        dag_bag=create_dag_bag(),
        body=PatchTaskInstanceBody(new_state=TaskInstanceState.FAILED),
        user=user,
        session=session,
        update_mask=None,
    )


def _stop_in_sagemaker(job: JobReference) -> None:
    try:
        live_status.stop(job)
    except ProcessingError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
