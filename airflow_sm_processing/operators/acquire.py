"""How a task acquires its one job: an earlier try's or a new one, as soon as AWS has capacity for it."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.exceptions import CapacityError, MalformedResponseError, ProcessingError, TransientError
from airflow_sm_processing.processing.aws_calls import is_pressure

if TYPE_CHECKING:
    from airflow_sm_processing.operators.release import JobGuard
    from airflow_sm_processing.ownership.claim import Claimed, JobClaim
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.triggers.capacity import Refusals

__all__ = [
    "Acquired",
    "capacity_queue",
    "claim_job",
    "count_refusal",
    "is_quota_used_up",
    "lacked_capacity",
    "pause_after",
]

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
_NO_CAPACITY = "CapacityError"  # as SageMaker's FailureReason begins when there are no such instances


class Acquired(NamedTuple):
    """The one job of a task instance."""

    job: ProcessingJob
    found: JobDescription | None
    """As an earlier try, or a process beside this one, left it; None if it was made now."""
    since: float
    """When the job was created, at the earliest, in seconds since the epoch."""
    queue: str
    """The capacity queue of jobs of its kind."""


def claim_job(claim: JobClaim, guard: JobGuard) -> Claimed:
    """Return the claim's job; if that breaks off, leave none behind that was made unseen."""
    try:
        claimed = claim.job()
    except BaseException as error:  # Airflow's time-out is no Exception
        will_try_again = isinstance(error, TransientError) and is_pressure(error)
        if isinstance(error, MalformedResponseError) and not guard.killed:
            log.warning("%s A job may have been made; if so, it goes on.", error)
        elif not will_try_again and not guard.is_for_next_try():
            _stop_unseen(claim, guard)
        raise
    guard.job = claimed.job
    return claimed


def _stop_unseen(claim: JobClaim, guard: JobGuard) -> None:
    try:
        job = claim.unseen_job()
    except ProcessingError as error:  # not raised: the task is ending already, and its own reason must not be hidden
        log.error("A job may have been made, and can't be looked for: %s", error)  # noqa: TRY400  # the message has it all
        return
    if job is not None:
        guard.stop(job)


# Capacity: AWS was asked for too much at once


def count_refusal(error: Exception, refusals: Refusals | None, *, bound: float) -> Refusals:
    """Return the refusals with one more, or raise its error if the time to wait for capacity is over.

    Args:
        error: Why there is no capacity.
        refusals: Those until now; None if it is the first.
        bound: The longest to wait, in seconds.
    """
    from airflow_sm_processing.triggers.capacity import Refusals

    now = time.time()
    counted = Refusals(since=now) if refusals is None else Refusals(since=refusals.since, count=refusals.count + 1)
    waited = now - counted.since
    if waited >= bound:
        log.error(
            "There was no room for the job in %.0f s, which is as long as max_capacity_wait lets it wait.", waited
        )
        raise error
    log.warning("No room for the job, for %.0f s of at most %.0f s: %s", waited, bound, error)
    return counted


def pause_after(refusals: Refusals) -> float:
    """Return the seconds to wait in a worker before trying again: with full jitter, for many may be waiting."""
    longest = min(_FIRST_PAUSE * 2.0 ** min(refusals.count, 10), _LONGEST_PAUSE)
    return random.uniform(_FIRST_PAUSE / 2, longest)  # noqa: S311  # no secret


def capacity_queue(definition: JobDefinition) -> str:
    """Return the key of the capacity queue that a job waits in: its instance type, or its types in order."""
    if definition.instance_type is not None:
        return str(definition.instance_type)
    return ",".join(str(preference.instance_type) for preference in definition.instance_preferences)


def is_quota_used_up(error: TransientError) -> bool:
    """Return whether a quota is used up: then nothing but the end of another job of the account leaves capacity."""
    return error.code == "ResourceLimitExceeded"


def lacked_capacity(description: JobDescription) -> CapacityError | None:
    """Return the error of a job that failed before it began, for there were no instances; None for any other job."""
    reason = description.failure_reason or ""
    if description.status.is_success or description.started_at is not None or not reason.startswith(_NO_CAPACITY):
        return None
    message = f"Processing job {description.job_name} could not start: {reason}"
    return CapacityError(message, operation="CreateProcessingJob", code=_NO_CAPACITY)
