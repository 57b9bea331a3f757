"""The events of triggers, and when they may be sent.

Airflow's scheduler fails a resumed task, whatever became of its job, if it learns only then that the process which
deferred it has ended: it takes that end for the resumed one's (https://github.com/apache/airflow/issues/72716). The
news is late by up to `[workers] min_heartbeat_interval`: so long may a supervisor wait after its process's last word.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from airflow.configuration import conf

from airflow_sm_processing.watcher.watches import JobOutcome

__all__ = ["Deadline", "JobEvent", "earliest_deadline", "settled"]


_SCHEDULER_SECONDS = 5.0
"""For the scheduler to come round, on a busy machine too."""


async def settled(deferred: float) -> None:
    """Return when a task may resume whose trigger started at `deferred`, by `time.monotonic()`.

    `[sm_processing] shortest_deferral` says after how many seconds.
    """
    await asyncio.sleep(deferred + _shortest_deferral() - time.monotonic())


def _shortest_deferral() -> float:
    own: str = conf.get("sm_processing", "shortest_deferral", fallback="")
    if own:
        return float(own)
    lag: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return lag + _SCHEDULER_SECONDS


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
    """Return the deadline of a wait that begins now, None if nothing bounds it.

    Airflow itself bounds only what runs in a worker by `execution_timeout`, and counts anew after a deferral.
    """
    deadlines = []
    if max_wait is not None:
        deadlines.append(Deadline(time.time() + max_wait, "max_wait"))
    if execution_timeout is not None:
        started = task_started or datetime.now(timezone.utc)
        deadlines.append(Deadline((started + execution_timeout).timestamp(), "execution_timeout"))
    return min(deadlines, default=None)


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A trigger's event, plain enough for Airflow's database."""

    job_name: str
    outcome: JobOutcome
    deadline: Deadline | None = None
    """The wait's deadline, whether or not it has passed: whoever goes on waiting keeps to it."""
    message: str | None = None
    log_position: dict[str, Any] | None = None
    """The fields of a `LogPosition`: what of the job's log was shown already."""
    position_kept: bool = False
    """Whether the task has an XCom with a position, which it needs no longer."""
    refused_since: float | None = None
    """When AWS first had no room for the task's job, in seconds since the epoch; None if it always had."""

    def to_payload(self) -> dict[str, Any]:
        """Return the event as JSON."""
        return {
            "job_name": self.job_name,
            "outcome": self.outcome.value,
            "deadline": self.deadline and list(self.deadline),
            "message": self.message,
            "log_position": self.log_position,
            "position_kept": self.position_kept,
            "refused_since": self.refused_since,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> JobEvent:
        """Read what `to_payload` gave."""
        deadline = payload.get("deadline")
        return cls(
            job_name=payload["job_name"],
            outcome=JobOutcome(payload["outcome"]),
            deadline=Deadline(*deadline) if deadline else None,
            message=payload.get("message"),
            log_position=payload.get("log_position"),
            position_kept=payload.get("position_kept", False),
            refused_since=payload.get("refused_since"),
        )
