"""Waiting for room for a job: AWS was asked for too much at once."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import CapacityError

if TYPE_CHECKING:
    from airflow_sm_processing.exceptions import TransientError
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.triggers.capacity import Refusals

__all__ = ["bear", "is_used_up", "lacked_capacity", "lane_of", "pause_after"]

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
_NO_CAPACITY = "CapacityError"  # as SageMaker's FailureReason begins when there are no such instances


def bear(error: Exception, refusals: Refusals | None, *, bound: float) -> Refusals:
    """Count a refusal, or raise its error if the time to wait for room is over.

    Args:
        error: Why there is no room.
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
    """Give the seconds to wait in a worker before trying again: with full jitter, for many may be waiting."""
    longest = min(_FIRST_PAUSE * 2.0 ** min(refusals.count, 10), _LONGEST_PAUSE)
    return random.uniform(_FIRST_PAUSE / 2, longest)  # noqa: S311  # no secret


def lane_of(definition: JobDefinition) -> str:
    """Name what a job takes up, and others of its kind wait for."""
    if definition.instance_type is not None:
        return str(definition.instance_type)
    return ",".join(str(preference.instance_type) for preference in definition.instance_preferences)


def is_used_up(error: TransientError) -> bool:
    """Return whether a quota is used up: then nothing but the end of another job of the account leaves room."""
    return error.code == "ResourceLimitExceeded"


def lacked_capacity(description: JobDescription) -> CapacityError | None:
    """Give the error of a job that failed before it began, for there were no instances; None for any other job."""
    reason = description.failure_reason or ""
    if description.status.is_success or description.started_at is not None or not reason.startswith(_NO_CAPACITY):
        return None
    message = f"Processing job {description.job_name} could not start: {reason}"
    return CapacityError(message, operation="CreateProcessingJob", code=_NO_CAPACITY)
