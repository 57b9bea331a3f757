"""The waiters of each job, and the outcomes that they receive."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import AccessDeniedError
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.values import DEFAULT_MAX_TRANSIENT_SECONDS, DEFAULT_POLL_INTERVAL
from airflow_sm_processing.watcher.client import now

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JobEnd", "JobOutcome", "Watch", "Watches"]

log = logging.getLogger(__name__)

_DENIED_SECONDS = 300.0  # rotated keys and an instance's own credentials may take minutes to become available


class JobOutcome(Enum):
    """The reason why a watch has ended."""

    ENDED = "ended"
    """The job has a terminal status."""
    DEADLINE = "deadline"
    """The deadline has passed; a job that hadn't ended was stopped, unless the watch lets it go on."""
    UNKNOWN = "unknown"
    """SageMaker has no job of that name: it was never created, or it was deleted."""
    TROUBLE = "trouble"
    """The job can't be watched from here, so the waiter has to check it itself."""


@dataclass(frozen=True)
class JobEnd:
    """The result of a watch."""

    outcome: JobOutcome
    message: str | None = None
    """The service's message, if the outcome isn't ENDED."""


@dataclass(eq=False, kw_only=True, slots=True)
class Watch:
    """One waiter for one job; times are seconds since the epoch, durations seconds."""

    job_name: str
    since: float | None = None
    """A time before which the job can't have ended, by this machine's clock; None if unknown."""
    poll_interval: float = DEFAULT_POLL_INTERVAL
    deadline: float | None = None
    stop_at_deadline: bool = True
    may_be_missing: bool = False
    """Whether to wait for a job that doesn't exist yet."""
    max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS
    began: float = field(default_factory=now)
    """When the watch began, by the event loop's clock."""
    looked_at: bool = False
    """Whether it is known that the job hadn't ended before the watch began."""
    seen_at: float | None = None
    """When the service last showed the job, by the event loop's clock."""
    failure: Exception | None = None
    """Why the job's last description failed; None if it didn't."""
    failing_since: float | None = None
    """When the job's description first failed, by the event loop's clock; None if the last one didn't."""
    odd_status: str | None = None
    """The job's last shown status, if this version doesn't know it."""
    end: asyncio.Future[JobEnd] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def over(self, end: JobEnd) -> None:
        """Notify the waiter, unless it was notified before or has gone."""
        if not self.end.done():
            self.end.set_result(end)


class Watches:
    """The active watches, by job."""

    def __init__(self) -> None:
        self._by_job: dict[str, list[Watch]] = {}
        self._intervals: Counter[float] = Counter()

    def __len__(self) -> int:
        return len(self._by_job)

    def __iter__(self) -> Iterator[Watch]:
        for watches in list(self._by_job.values()):
            yield from tuple(watches)

    def __contains__(self, job_name: object) -> bool:
        return job_name in self._by_job

    @property
    def job_names(self) -> list[str]:
        """The watched jobs."""
        return list(self._by_job)

    @property
    def poll_interval(self) -> float:
        """The shortest poll interval that a watch asks for, in seconds."""
        return min(self._intervals, default=DEFAULT_POLL_INTERVAL)

    def add(self, watch: Watch) -> None:
        """Begin a watch."""
        self._by_job.setdefault(watch.job_name, []).append(watch)
        self._intervals[watch.poll_interval] += 1

    def remove(self, watch: Watch) -> None:
        """End a watch, whether or not the waiter was notified."""
        watches = self._by_job.get(watch.job_name, [])
        if watch in watches:
            watches.remove(watch)
            self._forget_interval(watch)
        if not watches:
            self._by_job.pop(watch.job_name, None)

    def of(self, job_name: str) -> tuple[Watch, ...]:
        """Return the watches of a job."""
        return tuple(self._by_job.get(job_name, ()))

    def newcomers(self) -> list[Watch]:
        """Return the watches whose job may have ended before the watch began."""
        return [watch for watch in self if not watch.looked_at]

    def seen(self, job_name: str, *, has_ended: bool) -> None:
        """Record that the service showed a job, and notify its waiters if it has ended."""
        for watch in self.of(job_name):
            watch.seen_at = now()
            watch.failure = watch.failing_since = None
        if has_ended:
            self.over(job_name, JobEnd(JobOutcome.ENDED))

    def shown(self, job_name: str, status: str) -> None:
        """Record the status in which the service showed a job; log an unknown one once, as it doesn't end the job."""
        for watch in self.of(job_name):
            if not JobStatus(status).is_known and watch.odd_status != status:
                log.warning(
                    "Processing job %s is %s, a status that this version doesn't know: still waiting for its end.",
                    job_name,
                    status,
                )
                watch.odd_status = status
        self.seen(job_name, has_ended=JobStatus(status).is_terminal)

    def doubt(self, job_name: str) -> None:
        """Record that a job's entry in a listing can't be read, so that the job is checked separately."""
        for watch in self.of(job_name):
            if watch.looked_at:
                log.warning(
                    "ListProcessingJobs shows processing job %s with no status that can be read: describing it.",
                    job_name,
                )
            watch.looked_at = False
            watch.since = None  # something may have been missed since then

    def failed(self, job_name: str, error: Exception) -> None:
        """Record that describing a job failed, and release the waiters whose retry budget is used up.

        With denials, the budget is short.
        """
        moment = now()
        bound = _DENIED_SECONDS if isinstance(error, AccessDeniedError) else math.inf
        for watch in self.of(job_name):
            watch.looked_at = False
            watch.failure = error
            watch.failing_since = watch.failing_since or moment
            lasted = moment - watch.failing_since
            if lasted >= min(watch.max_transient_seconds, bound):
                self.out_of_budget(watch, error, lasted)

    def unknown(self, job_name: str, message: str) -> None:
        """Record that there is no such job, and release the waiters that don't wait for it to be created."""
        for watch in self.of(job_name):
            watch.failure = watch.failing_since = None
            if not watch.may_be_missing:
                self.remove(watch)
                watch.over(JobEnd(JobOutcome.UNKNOWN, message))

    def out_of_budget(self, watch: Watch, error: Exception, lasted: float) -> None:
        """Notify one waiter that a transient error has lasted for that many seconds, and release it."""
        self.remove(watch)
        watch.over(JobEnd(JobOutcome.TROUBLE, f"{error} (failing for {lasted:.0f} s)"))

    def over(self, job_name: str, end: JobEnd) -> None:
        """Notify all waiters of a job, and release them."""
        for watch in self._by_job.pop(job_name, ()):
            self._forget_interval(watch)
            watch.over(end)

    def _forget_interval(self, watch: Watch) -> None:
        self._intervals[watch.poll_interval] -= 1
        if not self._intervals[watch.poll_interval]:
            del self._intervals[watch.poll_interval]
