"""The live lines of many jobs, read together."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from functools import cache
from typing import TYPE_CHECKING, cast

from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.log_followed import Followed
from airflow_sm_processing.watcher.log_rounds import LogRounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.model import ListShape, StructureShape

    from airflow_sm_processing.processing.log_position import LogPosition
    from airflow_sm_processing.watcher.log_followed import LineSink
    from airflow_sm_processing.watcher.log_reader import LogCall

__all__ = ["Followed", "LogFeed"]

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
        """Hand out a job's lines as they come, each once and in order per host, until `close`.

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
        log.info("Live logs can't be read for now: %s", errors[0])
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
