"""Read the live log lines of many jobs together: find their log streams with few calls, and read these in rounds."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from bisect import bisect_left
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cache
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, cast

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError, TransientError
from airflow_sm_processing.processing.aws_calls import answer_read, backoff, new_token
from airflow_sm_processing.processing.models import LOG_GROUP
from airflow_sm_processing.watcher.client import now
from airflow_sm_processing.watcher.log_streams import BatchReader, Followed, batches_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from botocore.model import ListShape, StructureShape

    from airflow_sm_processing.processing.log_events import LogPosition
    from airflow_sm_processing.watcher.log_streams import Batch, FollowedStream, LineSink, LogCall


__all__ = ["Followed", "LogFeed", "LogRounds", "Prefixes", "StreamFinder"]


_BARREN_SECONDS = 600.0
_AFTER_ALL = "\U0010ffff"


class Prefixes:
    """Chooses prefixes for listing log streams: the shortest that a job shares with others and that isn't barren.

    Jobs that were created together share their base name and most of their timestamp. But thousands of older jobs that
    aren't followed may share it too: such a prefix is barren. Then a longer one is tried, and finally the job's name.
    """

    def __init__(self) -> None:
        self._barren: dict[str, float] = {}

    def around(self, name: str, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """Return a prefix for a job's name, and those of the sorted `names` that begin with it."""
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
        """Record that a prefix mostly finds other jobs' streams, so that it isn't chosen again for a while."""
        self._barren = {known: until for known, until in self._barren.items() if until > now()}
        self._barren[prefix] = now() + _BARREN_SECONDS


_FIRST_PAUSE = 2.0
_GROWTH = 1.5
_LONGEST_PAUSE = 20.0
_USEFUL_PART = 0.25  # of a page's streams; with fewer, the prefix mostly finds streams of jobs that aren't followed


@dataclass
class _Look:
    due: float
    pause: float = _FIRST_PAUSE

    def postpone(self) -> None:
        self.due = now() + self.pause
        self.pause = min(self.pause * _GROWTH, _LONGEST_PAUSE)


class StreamFinder:
    """Looks for the jobs' streams, at growing intervals, until all their hosts have one."""

    def __init__(self, call: LogCall) -> None:
        self._call = call
        self._looks: dict[Followed, _Look] = {}
        self._by_name: dict[str, set[Followed]] = defaultdict(set)
        self._prefixes = Prefixes()
        self.calls = 0
        """The number of calls made."""

    def add(self, job: Followed) -> None:
        """Look for a job's streams from now on."""
        self._looks[job] = _Look(now())
        self._by_name[job.job_name].add(job)

    def discard(self, job: Followed) -> None:
        """Stop looking for a job's streams."""
        if self._looks.pop(job, None) is not None:
            self._by_name[job.job_name].discard(job)
            if not self._by_name[job.job_name]:
                del self._by_name[job.job_name]

    @property
    def due(self) -> float:
        """When to look next, by the event loop's clock."""
        return min(map(self._due, self._looks), default=float("inf"))

    async def look(self, most_calls: int) -> None:
        """Look for the streams of the jobs that are due, the longest waiting first.

        Raises:
            TransientError: A call failed; its jobs stay due.
        """
        if not most_calls or self.due > now():
            return
        end = self.calls + most_calls
        names = sorted(self._by_name)
        for seed in sorted(self._looks, key=self._due):
            if self.calls >= end:
                return
            if self._due(seed) <= now():  # it may meanwhile have been found together with another job
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
        """Read the pages of a prefix as long as they are useful; jobs that aren't reached stay due."""
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
            return {"logStreams": []}  # the group is created with the account's first job

    def _note(self, left: set[str], found: Mapping[str, Sequence[str]], began: float, *, is_last: bool) -> set[str]:
        """Record a page's streams, and return the names left for the next pages, since streams are sorted."""
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


_INTERVAL = 2.0
"""The number of seconds between two readings of a stream, if there are few streams."""
_BUSY_INTERVAL = 5.0
"""The maximum of that interval; with longer ones, busy streams need fewer calls, because fewer lines are read again."""
_BUSY_CALLS_A_SECOND = 1.5
_CALLS_A_SECOND = 3.0
"""The target; CloudWatch's limit for an account is 5 FilterLogEvents per second:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""
_LOOKS_A_SECOND = 2.0
_MOST_LOOKS = 8.0
_AT_ONCE = 4  # batches that are read concurrently; a call takes up to half a second
_PORTION = 8  # batches that are read before urgent work is checked for again


class LogRounds:
    """Reads all streams in rounds, and between rounds what is urgent: new streams, backlogs, and ending logs."""

    def __init__(self, call: LogCall, *, streams_a_call: int) -> None:
        self._finder = StreamFinder(call)
        self._reader = BatchReader(call)
        self._streams_a_call = streams_a_call
        self._jobs: set[Followed] = set()
        self._settling: set[Followed] = set()
        self._planned: deque[Batch] = deque()
        self._began = float("-inf")
        self._calls_before = self._calls = 0
        self._looks, self._looks_at = _MOST_LOOKS, now()

    def update(self, job: Followed) -> None:
        """Handle a job that is new, begins or stops settling, or is off."""
        if job.is_off:
            self._jobs.discard(job)
            self._finder.discard(job)
        elif job not in self._jobs:
            self._jobs.add(job)
            if not job.has_all_hosts:
                self._finder.add(job)
        (self._settling.add if job.is_settling and not job.is_off else self._settling.discard)(job)

    @property
    def has_backlog(self) -> bool:
        """Whether there is more to read at once."""
        return bool(self._planned) or any(True for _ in self._urgent())

    @property
    def due(self) -> float:
        """When there is something to do next, by the event loop's clock."""
        looks = max(self._finder.due, self._looks_at + max(0.0, 1 - self._looks) / _LOOKS_A_SECOND)
        settling = min((job.read_due for job in self._settling), default=looks)
        return min(looks, settling, self._round_due)

    @property
    def calls(self) -> int:
        """The number of calls made."""
        return self._finder.calls + self._reader.calls

    async def step(self) -> list[TransientError]:
        """Do a part of what is due; return the transient errors, one for each failed call."""
        errors = await self._look()
        errors += await self._read(batches_of(self._urgent(), most=self._streams_a_call))
        if not self._planned and now() >= self._round_due:
            self._begin_round()
        errors += await self._read([self._planned.popleft() for _ in range(min(_PORTION, len(self._planned)))])
        if not self._planned:
            self._calls = self._reader.calls - self._calls_before
        for job in self._settling:
            job.check()
        return errors

    async def _look(self) -> list[TransientError]:
        looked_at, self._looks_at = self._looks_at, now()
        self._looks = min(_MOST_LOOKS, self._looks + (self._looks_at - looked_at) * _LOOKS_A_SECOND)
        before = self._finder.calls
        try:
            await self._finder.look(int(self._looks))
        except TransientError as error:
            return [error]
        finally:
            self._looks -= self._finder.calls - before
        return []

    async def _read(self, batches: Sequence[Batch]) -> list[TransientError]:
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(batch: Batch) -> TransientError | None:
            try:
                async with places:
                    await self._reader.read(batch)
            except TransientError as error:
                return error
            return None

        return [error for error in await asyncio.gather(*map(read, batches)) if error is not None]

    def _begin_round(self) -> None:
        self._began, self._calls_before = now(), self._reader.calls
        caught_up = (stream for job in self._jobs for stream in job.streams.values() if stream.caught_up)
        self._planned.extend(batches_of(caught_up, most=self._streams_a_call))

    @property
    def _round_due(self) -> float:
        busy = min(_BUSY_INTERVAL, self._calls / _BUSY_CALLS_A_SECOND)
        return self._began + max(_INTERVAL, busy, self._calls / _CALLS_A_SECOND)

    def _urgent(self) -> Iterator[FollowedStream]:
        for job in self._jobs:
            settles = job in self._settling and job.read_due <= now()
            yield from (stream for stream in job.streams.values() if settles or not stream.caught_up)


log = logging.getLogger(__name__)

_SHORTEST_PAUSE = 0.25  # so that jobs that are followed in quick succession are looked for together
_LONGEST_BACKOFF = 30.0


class LogFeed:
    """Reads the logs of all followed jobs in one task, which the first follower starts and the last one ends.

    Args:
        call: Calls CloudWatch Logs once, with the rate limiter and outside of the event loop.
        streams_a_call: The maximum number of streams per FilterLogEvents; if None, botocore's model decides.
    """

    def __init__(self, call: LogCall, *, streams_a_call: int | None = None) -> None:
        self._call = call
        self._streams_a_call = streams_a_call
        self._jobs: set[Followed] = set()
        self._rounds: LogRounds | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        """The asyncio task, and earlier ones until they have ended."""
        self._changed = asyncio.Event()

    def follow(
        self,
        job_name: str,
        sink: LineSink,
        *,
        position: LogPosition | None = None,
        since: float | None = None,
        hosts: int | None = None,
        replayed: Sequence[tuple[LogPosition | None, LogPosition]] = (),
    ) -> Followed:
        """Emit a job's lines as they arrive, each once and in order per host, until `close`.

        Args:
            job_name: The job's name.
            sink: Receives the lines, a few at a time, in the event loop and in the caller's context.
            position: Where to continue; streams that aren't in it are read from `since`.
            since: A time before the job's first line, in seconds since the epoch; it makes CloudWatch's search shorter.
            hosts: The job's number of hosts; if None, more are looked for as long as the job is followed.
            replayed: The spans to emit again, as pairs of positions.
        """
        job = Followed(
            job_name, sink, position=position, since=since, hosts=hosts, on_change=self._update, replayed=replayed
        )
        self._jobs.add(job)
        self._update(job)
        if self._task is None:
            # In a separate context, because the feed's own log lines don't belong to its first follower.
            self._task = contextvars.Context().run(asyncio.ensure_future, self._run())
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)
        return job

    async def close(self) -> None:
        """Stop, and leave no asyncio task behind."""
        for job in tuple(self._jobs):
            job.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _update(self, job: Followed) -> None:
        self._changed.set()
        if job.is_off:
            self._jobs.discard(job)
        if self._rounds is not None:
            self._rounds.update(job)
        if not self._jobs and self._task is not None:
            self._task.cancel()
            self._task = self._rounds = None

    async def _run(self) -> None:
        try:
            rounds = await self._begin()
            troubles = 0
            while True:
                self._changed.clear()
                troubles = await _step(rounds, troubles)
                await self._pause(rounds)
        except Exception as error:
            log.exception("The live logs of %d jobs are off.", len(self._jobs))
            for job in tuple(self._jobs):
                job.fail(error)

    async def _begin(self) -> LogRounds:
        if (limit := self._streams_a_call) is None:
            limit = await asyncio.get_running_loop().run_in_executor(None, _streams_a_call)
        rounds = self._rounds = LogRounds(self._call, streams_a_call=limit)
        for job in self._jobs:
            rounds.update(job)
        return rounds

    async def _pause(self, rounds: LogRounds) -> None:
        """Pause until something is due or a job changes; if there is more to read, only let other asyncio tasks run."""
        if rounds.has_backlog:
            await asyncio.sleep(0)
            return
        pause = rounds.due - now()
        await asyncio.sleep(_SHORTEST_PAUSE)
        # Not wait_for: before Python 3.12 it swallows a cancellation that arrives together with the event.
        timer = asyncio.get_running_loop().call_later(max(0.0, pause - _SHORTEST_PAUSE), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()


async def _step(rounds: LogRounds, troubles: int) -> int:
    """Do a part of what is due; after errors, leave CloudWatch alone for a while, with full jitter."""
    calls = rounds.calls
    errors = await rounds.step()
    if not errors:
        return 0
    if not troubles:
        log.info("Can't read live logs for now: %s", errors[0])
    # If other calls succeeded, the service is available, and only the failed calls have to be repeated.
    troubles = troubles + 1 if rounds.calls - calls == len(errors) else 1
    await asyncio.sleep(backoff(troubles, first=1.0, longest=_LONGEST_BACKOFF))
    return troubles


@cache
def _streams_a_call() -> int:
    """Return the limit in botocore's model; reading it blocks."""
    import botocore.session

    operation = botocore.session.get_session().get_service_model("logs").operation_model("FilterLogEvents")
    names = cast("StructureShape", operation.input_shape).members["logStreamNames"]
    limit: int = cast("ListShape", names).metadata["max"]
    return limit
