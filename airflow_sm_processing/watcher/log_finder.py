"""Finding the streams of many jobs by few DescribeLogStreams calls."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError, TransientError
from airflow_sm_processing.processing.answers import new_token
from airflow_sm_processing.processing.aws_errors import answer_read
from airflow_sm_processing.processing.console import LOG_GROUP
from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.log_prefixes import Prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_sm_processing.watcher.log_followed import Followed
    from airflow_sm_processing.watcher.log_reader import LogCall

__all__ = ["StreamFinder"]

_FIRST_PAUSE = 2.0
_GROWTH = 1.5
_LONGEST_PAUSE = 20.0
_USEFUL_PART = 0.25  # of a page's streams: below it, the prefix finds mostly those of jobs that aren't looked for


@dataclass
class _Look:
    due: float
    pause: float = _FIRST_PAUSE

    def postpone(self) -> None:
        self.due = now() + self.pause
        self.pause = min(self.pause * _GROWTH, _LONGEST_PAUSE)


class StreamFinder:
    """Looks for the streams of jobs, at growing intervals, until all their hosts have one."""

    def __init__(self, call: LogCall) -> None:
        self._call = call
        self._looks: dict[Followed, _Look] = {}
        self._by_name: dict[str, set[Followed]] = defaultdict(set)
        self._prefixes = Prefixes()
        self.calls = 0
        """How many calls were made."""

    def add(self, job: Followed) -> None:
        """Look for a job's streams, from now on."""
        self._looks[job] = _Look(now())
        self._by_name[job.job_name].add(job)

    def discard(self, job: Followed) -> None:
        """Look for a job's streams no longer."""
        if self._looks.pop(job, None) is not None:
            self._by_name[job.job_name].discard(job)
            if not self._by_name[job.job_name]:
                del self._by_name[job.job_name]

    @property
    def due(self) -> float:
        """When to look next, in the event loop's time."""
        return min(map(self._due, self._looks), default=float("inf"))

    async def look(self, most_calls: int) -> None:
        """Look for the streams of the jobs that are due, those first that have waited longest.

        Raises:
            TransientError: A call failed; the jobs that it was for stay due.
        """
        if not most_calls or self.due > now():
            return
        end = self.calls + most_calls
        names = sorted(self._by_name)
        for seed in sorted(self._looks, key=self._due):
            if self.calls >= end:
                return
            if self._due(seed) <= now():  # it may have been found together with another meanwhile
                await self._look_around(seed.job_name, names, end)

    def _due(self, job: Followed) -> float:
        look = self._looks.get(job)
        return float("inf") if look is None else min(look.due, job.look_due)

    async def _look_around(self, name: str, names: Sequence[str], end: int) -> None:
        prefix, cluster = self._prefixes.around(name, names)
        try:
            await self._read_pages(prefix, cluster, end)
        except TransientError:
            raise
        except ServiceError as error:
            for job in self._named(cluster):
                job.fail(error)

    async def _read_pages(self, prefix: str, names: Sequence[str], end: int) -> None:
        """Read the pages of a prefix, as long as they are worth it; the jobs that aren't reached stay due."""
        began = now()
        request: dict[str, Any] = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": prefix}
        left, seen = set(names), set[str]()
        while left:
            page = await self._page(request)
            with answer_read("DescribeLogStreams", prefix):
                found = _by_job(page["logStreams"], prefix)
                token = new_token(page.get("nextToken"), seen)
            useful = sum(len(streams) for name, streams in found.items() if name in left)
            left = self._note(left, found, began, is_last=token is None)
            if token is None:
                return
            is_barren = useful < _USEFUL_PART * len(page["logStreams"]) and len(names) > 1
            if is_barren:
                self._prefixes.is_barren(prefix)
            if is_barren or self.calls >= end:
                return
            request["nextToken"] = token

    async def _page(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls += 1
        try:
            return await self._call("describe_log_streams", request["logStreamNamePrefix"], request)
        except JobNotFoundError:
            return {"logStreams": []}  # the group appears with the account's first job

    def _note(self, left: set[str], found: Mapping[str, Sequence[str]], began: float, *, is_last: bool) -> set[str]:
        """Take what a page found, and give the names that are left for the next pages: streams come in their order."""
        until = max((f"{name}/" for name in found), default="")
        reached = left if is_last else {name for name in left if f"{name}/" < until}
        for job in self._named(reached | (left & found.keys())):
            job.found(found.get(job.job_name, ()))
            if job.job_name in reached:
                job.looked_at = began
                self._looks[job].postpone()
            if job.has_all_hosts:
                self.discard(job)
        return {job.job_name for job in self._named(left - reached)}

    def _named(self, names: Iterable[str]) -> list[Followed]:
        return [job for name in names for job in self._by_name.get(name, ())]


def _by_job(streams: Iterable[Mapping[str, Any]], prefix: str) -> dict[str, list[str]]:
    by_job = defaultdict(list)
    for stream in streams:
        name = stream["logStreamName"]
        if not name.startswith(prefix):
            raise ValueError(f"it has streams that don't begin with {prefix}")
        by_job[name.partition("/")[0]].append(name)
    return by_job
