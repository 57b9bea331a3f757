"""The seam between submitting a job and waiting for it: `job_end` is all that a trigger knows of waiting."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import ProcessingError, TransientError
from airflow_sm_processing.processing.waiting import Patience
from airflow_sm_processing.triggers.events import JobEvent, Outcome
from airflow_sm_processing.triggers.threads import in_thread, shared_hook

if TYPE_CHECKING:
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.triggers.deadlines import Deadline

__all__ = ["job_end"]

log = logging.getLogger(__name__)


async def job_end(
    job_name: str,
    connection: AwsConnection,
    *,
    poll_interval: float,
    deadline: Deadline | None,
    max_transient_seconds: float,
) -> JobEvent:
    """Wait until a job has ended, the deadline has passed, or the job can't be watched.

    Args:
        job_name: The job to wait for.
        connection: Which AWS it is in.
        poll_interval: Seconds between two looks.
        deadline: When to give up; None waits as long as the job runs.
        max_transient_seconds: How long throttling, 5xx and lost connections are waited out.
    """
    patience = Patience(max_transient_seconds)
    try:
        async with shared_hook(connection) as hook:
            # A pause comes first: a job that was just made hasn't ended, and Airflow's scheduler may fail a task whose
            # trigger fires before it has seen the deferral (https://github.com/apache/airflow/issues/67287).
            while await _pause(poll_interval, deadline):
                if await _has_ended(hook, job_name, patience):
                    return JobEvent(job_name=job_name, outcome=Outcome.ENDED, deadline=deadline)
    except ProcessingError as error:
        return JobEvent(job_name=job_name, outcome=Outcome.TROUBLE, deadline=deadline, message=str(error))
    return JobEvent(job_name=job_name, outcome=Outcome.DEADLINE, deadline=deadline)


async def _pause(poll_interval: float, deadline: Deadline | None) -> bool:
    """Pause until the next look; False if the deadline has passed, and the last look was made at it."""
    pause = poll_interval * random.uniform(0.9, 1.1)  # noqa: S311  # spreads the calls of many triggers
    left = deadline.seconds_left if deadline else pause
    if left <= 0:
        return False
    await asyncio.sleep(min(pause, left))
    return True


async def _has_ended(hook: ProcessingHook, job_name: str, patience: Patience) -> bool:
    try:
        description = await in_thread(lambda: hook.job(job_name).description())
    except TransientError as error:
        patience.bear(error)
        return False
    patience.reset()
    return description.status.is_terminal
