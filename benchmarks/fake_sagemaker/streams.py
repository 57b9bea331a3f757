"""The log streams: one for each host, their lines computed from the clock, none stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.fake_sagemaker.plan import line_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.fake_sagemaker.jobs import Job, Jobs
    from benchmarks.fake_sagemaker.plan import Plan

EVENT_OVERHEAD = 26
"""Bytes that CloudWatch counts for each event beside its message."""


@dataclass(frozen=True)
class Stream:
    """What one host writes: line `n` at `first + n * period`, seen `lag` later, the last one when its job ends.

    All times are milliseconds since the epoch, CloudWatch's own unit.
    """

    job: Job
    host: int
    first: int
    period: int

    @property
    def name(self) -> str:
        return f"{self.job.name}/algo-{self.host}-{self.first // 1000}"

    @property
    def lag(self) -> int:
        """Milliseconds until a line can be read, another for each stream, as agents send when they like."""
        return 300 + (self.job.index * 37 + self.host * 11) % 1200

    def time(self, number: int) -> int:
        """Return the time of a line."""
        return self.first + number * self.period

    def lines_until(self, moment: int) -> int:
        """Count the lines with a time up to and including this moment."""
        last = min(moment, int(self.job.changes[-1].at * 1000))
        return max(0, (last - self.first) // self.period + 1)

    def visible(self, now: float) -> int:
        """Count the lines that can be read now."""
        return self.lines_until(int(now * 1000) - self.lag)

    def event(self, number: int) -> dict[str, str | int]:
        """Return a line as FilterLogEvents does."""
        moment = self.time(number)
        return {
            "logStreamName": self.name,
            "timestamp": moment,
            "message": line_text(self.job.index, self.host, number),
            "ingestionTime": moment + self.lag,
            "eventId": f"{moment:020}{self.job.index:012}{self.host:04}{number:020}",
        }


class Streams:
    """All streams of the log group; one exists as soon as its first line can be read."""

    def __init__(self, jobs: Jobs, plan: Plan) -> None:
        self._jobs = jobs
        self._plan = plan

    def existing(self, now: float, prefix: str = "") -> Iterator[Stream]:
        """Yield the streams whose name begins so, in the order of their names."""
        for job in self._jobs_of(prefix):
            streams = sorted(self._of(job), key=lambda stream: stream.name)
            yield from (stream for stream in streams if stream.name.startswith(prefix) and stream.visible(now))

    def _jobs_of(self, prefix: str) -> Iterable[Job]:
        job_name, slash, _ = prefix.partition("/")
        if not slash:
            return (job for job in self._jobs if job.name.startswith(job_name))
        job = self._jobs.get(job_name)
        return [job] if job else []

    def _of(self, job: Job) -> Iterator[Stream]:
        if self._jobs.started_at is None or not self._plan.lines_per_second:
            return
        period = 1000 // self._plan.lines_per_second
        for host in range(1, self._plan.hosts + 1):
            yield Stream(job, host, int(self._jobs.started_at * 1000) + (job.index * 7 + host * 3) % period, period)
