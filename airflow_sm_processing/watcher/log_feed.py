"""Read the live lines of many jobs together, in rounds."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, cast

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.watcher.client import now
from airflow_sm_processing.watcher.log_finder import StreamFinder
from airflow_sm_processing.watcher.log_reader import BatchReader
from airflow_sm_processing.watcher.log_streams import Followed, batches_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.model import ListShape, StructureShape

    from airflow_sm_processing.processing.log_events import LogPosition
    from airflow_sm_processing.watcher.log_reader import LogCall
    from airflow_sm_processing.watcher.log_streams import Batch, FollowedStream, LineSink


__all__ = ["Followed", "LogFeed", "LogRounds"]


_INTERVAL = 2.0
"""Seconds between two readings of a stream, if there are few."""
_BUSY_INTERVAL = 5.0
"""The most that fuller pages are worth: of busy streams, less is read again the longer the interval is."""
_BUSY_CALLS_A_SECOND = 1.5
_CALLS_A_SECOND = 3.0
"""What is aimed at; CloudWatch allows an account 5 FilterLogEvents a second:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""
_LOOKS_A_SECOND = 2.0
_MOST_LOOKS = 8.0
_AT_ONCE = 4  # batches that are read at the same time: a call takes up to half a second
_PORTION = 8  # batches that are read before it is seen to what is urgent again


class LogRounds:
    """Reads all streams in rounds, and in between what is urgent: new streams, backlogs, and logs that settle."""

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
        """Note a job that is new, begins or ceases to settle, or is off."""
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
        """When there is something to do next, in the event loop's time."""
        looks = max(self._finder.due, self._looks_at + max(0.0, 1 - self._looks) / _LOOKS_A_SECOND)
        settling = min((job.read_due for job in self._settling), default=looks)
        return min(looks, settling, self._round_due)

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self._finder.calls + self._reader.calls

    async def step(self) -> list[TransientError]:
        """Do a part of what is due; return the errors that may pass, one for each call that failed."""
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

_SHORTEST_PAUSE = 0.25  # jobs that are followed in quick succession are looked for together
_LONGEST_BACKOFF = 30.0


class LogFeed:
    """Reads the logs of all followed jobs in one task, which the first follower starts and the last one ends.

    Args:
        call: Calls CloudWatch Logs once, paced and off the event loop.
        streams_a_call: How many streams FilterLogEvents takes; if None, as many as botocore's model of it says.
    """

    def __init__(self, call: LogCall, *, streams_a_call: int | None = None) -> None:
        self._call = call
        self._streams_a_call = streams_a_call
        self._jobs: set[Followed] = set()
        self._rounds: LogRounds | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        """The task, and those before it as long as they take to end."""
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
        """Emit a job's lines as they come, each once and in order per host, until `close`.

        Args:
            job_name: The job's name.
            sink: Takes the lines, a few at a time, in the event loop and in the caller's context.
            position: Where to go on; streams that it doesn't name are read from `since`.
            since: A time before the job's first line, in seconds since the epoch; it spares CloudWatch a search.
            hosts: How many hosts the job has; None looks for more for as long as the job is followed.
            replayed: What to hand out again, of what was handed out before: from where to where.
        """
        job = Followed(
            job_name, sink, position=position, since=since, hosts=hosts, on_change=self._update, replayed=replayed
        )
        self._jobs.add(job)
        self._update(job)
        if self._task is None:
            # In a context of its own: the feed's own log lines aren't its first follower's.
            self._task = contextvars.Context().run(asyncio.ensure_future, self._run())
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)
        return job

    async def close(self) -> None:
        """End, and leave no task behind."""
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
        """Pause until something is due or a job changes, or just give way to others if there is more to read."""
        if rounds.has_backlog:
            await asyncio.sleep(0)
            return
        pause = rounds.due - now()
        await asyncio.sleep(_SHORTEST_PAUSE)
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event.
        timer = asyncio.get_running_loop().call_later(max(0.0, pause - _SHORTEST_PAUSE), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()


async def _step(rounds: LogRounds, troubles: int) -> int:
    """Do a part of what is due; after trouble, leave CloudWatch alone for a while, with full jitter."""
    calls = rounds.calls
    errors = await rounds.step()
    if not errors:
        return 0
    if not troubles:
        log.info("Can't read live logs for now: %s", errors[0])
    # What goes on elsewhere shows that the service is there: only those calls failed that must be tried again.
    troubles = troubles + 1 if rounds.calls - calls == len(errors) else 1
    await asyncio.sleep(random.uniform(0, min(2**troubles, _LONGEST_BACKOFF)))  # noqa: S311  # spreads calls
    return troubles


@cache
def _streams_a_call() -> int:
    """Read what botocore's model says, which blocks."""
    import botocore.session

    operation = botocore.session.get_session().get_service_model("logs").operation_model("FilterLogEvents")
    names = cast("StructureShape", operation.input_shape).members["logStreamNames"]
    limit: int = cast("ListShape", names).metadata["max"]
    return limit
