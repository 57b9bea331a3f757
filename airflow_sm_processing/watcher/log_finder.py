"""Find the log streams of many jobs by few DescribeLogStreams calls."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError, TransientError
from airflow_sm_processing.processing.aws_calls import answer_read, new_token
from airflow_sm_processing.processing.s3_uris import LOG_GROUP
from airflow_sm_processing.watcher.client import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_sm_processing.watcher.log_reader import LogCall
    from airflow_sm_processing.watcher.log_streams import Followed


__all__ = ["Prefixes", "StreamFinder"]


_BARREN_SECONDS = 600.0
_AFTER_ALL = "\U0010ffff"


class Prefixes:
    """Chooses a prefix for a job: the shortest that it has in common with others, and that isn't known as barren.

    Jobs that were made together share their base name and most of their timestamp. But so may thousands of older
    ones that nobody looks for: then a longer prefix is tried, in the end the job's own name.
    """

    def __init__(self) -> None:
        self._barren: dict[str, float] = {}

    def around(self, name: str, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """Return a prefix of stream names, and those of `names`, which are sorted, that it finds."""
        for length in range(1, len(name)):
            first = bisect_left(names, name[:length])
            end = bisect_left(names, name[:length] + _AFTER_ALL)
            if end - first < 2:  # noqa: PLR2004  # one job has its own prefix
                break
            prefix = commonprefix([names[first], names[end - 1]])  # noqa: RUF071  # names, not paths
            if self._barren.get(prefix, 0.0) <= now():
                return prefix, names[first:end]
        return f"{name}/", [name]

    def is_barren(self, prefix: str) -> None:
        """Note that a prefix finds mostly the streams of other jobs: it isn't chosen again for a while."""
        self._barren = {known: until for known, until in self._barren.items() if until > now()}
        self._barren[prefix] = now() + _BARREN_SECONDS


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
        """Record what a page found, and return the names left for the next pages: streams come in order."""
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
