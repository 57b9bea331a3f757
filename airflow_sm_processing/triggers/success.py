"""Ends the task of a completed job without a worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.metrics import job_ended
from airflow_sm_processing.processing.aws_errors import answer_read
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.processing.records import ended_record
from airflow_sm_processing.processing.results import RECORD_KEY, RESULT_KEY, ended_result
from airflow_sm_processing.watcher.listing import status_of

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_sm_processing.processing.secrets import JobSecrets
    from airflow_sm_processing.triggers.live_log import LiveLog, NoLog
    from airflow_sm_processing.triggers.supervisor import DeferredTask
    from airflow_sm_processing.watcher.lookout import Lookout

__all__ = ["success_event"]

log = logging.getLogger(__name__)


async def success_event(
    lookout: Lookout, job_name: str, live_log: LiveLog | NoLog, task: DeferredTask | None, secrets: JobSecrets
) -> TriggerEvent | None:
    """Give the event that ends the task of a completed job with its result; None if a worker has to see to it."""
    from airflow.triggers.base import TaskSuccessEvent

    try:
        answer = await lookout.calls.sagemaker("describe_processing_job", job_name, {"ProcessingJobName": job_name})
        with answer_read("DescribeProcessingJob", job_name):
            status_of(job_name, answer)
            described = JobDescription.from_response(answer)
    except ProcessingError as error:
        log.info("A worker ends the task, for the job's result couldn't be read: %s", error)
        return None
    description = secrets.hide_in_description(described)
    live_log.tell_environment(description.environment)
    if not description.status.is_success or not await live_log.finish():
        return None
    result = ended_result(description)
    if task is None:
        return TaskSuccessEvent(xcoms={RESULT_KEY: result})
    try:
        await _record_end(task, description)
        await task.set_xcom(RESULT_KEY, result)  # what the event itself carries, Airflow writes as JSON within JSON
        await live_log.forget_position()
    except Exception as error:  # noqa: BLE001  # of Airflow's many kinds: a worker can do the same
        log.warning("A worker ends the task, for its result couldn't be stored from here: %r", error)
        return None
    job_ended(description, dag_id=task.dag_id, task_id=task.task_id)  # last: a worker counts what it ends
    return TaskSuccessEvent()


async def _record_end(task: DeferredTask, description: JobDescription) -> None:
    """Tell the pages of Airflow's UI how the job ended; its sizes and last lines are a worker's to record."""
    record = await task.xcom(RECORD_KEY)
    if record is not None and record["job_name"] == description.job_name:
        await task.set_xcom(RECORD_KEY, ended_record(record, description))
