"""When the wait for a job has to be over."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

__all__ = ["Deadline", "earliest_deadline"]


class Deadline(NamedTuple):
    """A moment that stays the same wherever and whenever the wait goes on."""

    at: float
    """Seconds since the epoch."""
    bound: str
    """The task's parameter that sets it."""

    @property
    def seconds_left(self) -> float:
        """Seconds until then, negative afterwards."""
        return self.at - time.time()


def earliest_deadline(
    *, max_wait: float | None, execution_timeout: timedelta | None, task_started: datetime | None
) -> Deadline | None:
    """Give the deadline of a wait that begins now, None if nothing bounds it.

    Airflow itself bounds only what runs in a worker by `execution_timeout`, and counts anew after a deferral.
    """
    deadlines = []
    if max_wait is not None:
        deadlines.append(Deadline(time.time() + max_wait, "max_wait"))
    if execution_timeout is not None:
        started = task_started or datetime.now(timezone.utc)
        deadlines.append(Deadline((started + execution_timeout).timestamp(), "execution_timeout"))
    return min(deadlines, default=None)
