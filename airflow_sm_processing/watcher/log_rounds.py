"""When the streams of followed jobs are looked for and read."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.log_batches import batches_of
from airflow_sm_processing.watcher.log_finder import StreamFinder
from airflow_sm_processing.watcher.log_reader import BatchReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_sm_processing.watcher.log_batches import Batch
    from airflow_sm_processing.watcher.log_followed import Followed
    from airflow_sm_processing.watcher.log_reader import LogCall
    from airflow_sm_processing.watcher.log_stream import FollowedStream

__all__ = ["LogRounds"]

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
        """Take note of a job that is new, begins or ceases to settle, or is off."""
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
        """Do a part of what is due; give the errors that may pass, one for each call that failed."""
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
