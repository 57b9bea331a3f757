"""The one route that changes something: it has a task's job stopped."""

from typing import Annotated

from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.datamodels.task_instances import PatchTaskInstanceBody
from airflow.api_fastapi.core_api.routes.public.task_instances import patch_task_instance
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.utils.state import TaskInstanceState
from fastapi import APIRouter, Body, Depends, HTTPException, status

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.ui.answers import Answer, BasePath
from airflow_sm_processing.ui.asking import AskedJob, asks_sagemaker
from airflow_sm_processing.ui.security import EDITS_TASK, CurrentUser, meant_as_stop
from airflow_sm_processing.ui.state import asker
from airflow_sm_processing.ui.stopping import BY_SAGEMAKER
from airflow_sm_processing.ui.task_job import task_jobs
from airflow_sm_processing.ui.task_request import TaskOfRequest

__all__ = ["router"]

router = APIRouter(prefix="/api/dags/{dag_id}/job")

_GUARDS = (*EDITS_TASK, Depends(meant_as_stop), Depends(action_logging("sm_processing_stop")))


@router.post("/stop", dependencies=_GUARDS)
def stop_job(
    session: SessionDep,
    task: TaskOfRequest,
    user: CurrentUser,
    base: BasePath,
    job_name: Annotated[str, Body(embed=True, max_length=500)],
) -> Answer:
    """Stop the task instance's present job, if it's the one that the user saw."""
    found, asks = task_jobs(session, task, base), asks_sagemaker()
    if found.job is None or found.job["job_name"] != job_name:
        raise HTTPException(status.HTTP_409_CONFLICT, f"{job_name!r} isn't the task's present job. Reload the page.")
    offer = found.offer(found.job, asks_sagemaker=asks)
    if offer.how is None:
        raise HTTPException(status.HTTP_409_CONFLICT, f"The job can't be stopped from here. {offer.why_not}")
    if offer.how == BY_SAGEMAKER:
        _ask_sagemaker(AskedJob.of_record(found.job))
    else:
        _mark_failed(session, task, user)
    return Answer({"how": offer.how}, status_code=status.HTTP_202_ACCEPTED)


def _mark_failed(session: SessionDep, task: TaskOfRequest, user: CurrentUser) -> None:
    """Do what Airflow does for a user who marks the task failed: the task's `on_kill` then stops the job."""
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


def _ask_sagemaker(job: AskedJob) -> None:
    try:
        asker.stop(job)
    except ProcessingError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
