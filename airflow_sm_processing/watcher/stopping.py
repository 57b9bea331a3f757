"""Stopping a job from an event loop."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import ServiceError, TransientError
from airflow_sm_processing.processing.aws_errors import answer_read
from airflow_sm_processing.processing.status import JobStatus
from airflow_sm_processing.watcher.listing import is_terminal, status_of

if TYPE_CHECKING:
    from airflow_sm_processing.processing.waiting import Patience
    from airflow_sm_processing.watcher.calls import AwsCalls

__all__ = ["has_ended", "stop_job"]

log = logging.getLogger(__name__)


async def has_ended(calls: AwsCalls, job_name: str, patience: Patience) -> bool:
    """Tell whether a job has a terminal status.

    Raises:
        ServiceError: There was no answer within the patience, or none will come.
    """
    return is_terminal(await _status(calls, job_name, patience))


async def _status(calls: AwsCalls, job_name: str, patience: Patience) -> str:
    """Describe a job.

    Raises:
        ServiceError: There was no answer within the patience, or none will come.
    """
    while True:
        try:
            answer = await calls.sagemaker("describe_processing_job", job_name, {"ProcessingJobName": job_name})
            with answer_read("DescribeProcessingJob", job_name):
                return status_of(job_name, answer)
        except TransientError as error:
            patience.bear(error)
            await _pause()


async def stop_job(calls: AwsCalls, job_name: str, patience: Patience) -> None:
    """Ask SageMaker to stop a job; one that has ended stays as it is.

    Raises:
        ServiceError: There was no answer within the patience, or the stop was refused.
    """
    while True:
        try:
            await calls.sagemaker("stop_processing_job", job_name, {"ProcessingJobName": job_name})
        except TransientError as error:
            patience.bear(error)
            await _pause()
        except ServiceError as error:
            if error.code != "ValidationException":
                raise
            status = await _status(calls, job_name, patience)
            if status == JobStatus.IN_PROGRESS.value:
                raise
            log.info("Processing job %s is %s already.", job_name, status)
            return
        else:
            log.info("Asked SageMaker to stop processing job %s.", job_name)
            return


async def _pause() -> None:
    await asyncio.sleep(random.uniform(0, 2))  # noqa: S311  # full jitter, no secret
