"""A watcher on an account in memory, and what its waiters receive."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.triggers.shared_watcher import SharedWatcher
from airflow_sm_processing.watcher.watches import JobOutcome, Watch

from .virtual_time import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from .account import Account


class Hang(BaseException):
    """A fault: the call gets no response for a number of seconds, and then fails; a thread can't be interrupted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Seen(NamedTuple):
    """What a waiter was told, and when by the loop's clock."""

    outcome: JobOutcome
    at: float
    message: str | None


class World:
    """An account and its watcher.

    Args:
        latency: The duration of a call, in seconds.
    """

    def __init__(self, account: Account, *, latency: float = 0.05) -> None:
        self.account = account
        self._latency = latency
        self.connections = 0
        self.shared = SharedWatcher(self._connect, self.in_thread)

    @classmethod
    @asynccontextmanager
    async def over(cls, account: Account, **options: Any) -> AsyncIterator[World]:
        world = cls(account, **options)
        try:
            yield world
        finally:
            await world.shared.close()

    def _connect(self) -> Callable[[str], Any]:
        self.connections += 1
        return self.account.client

    @property
    def now(self) -> float:
        return self.account.now

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        await asyncio.sleep(self._latency / 2)
        try:
            return function()
        except Hang as hang:
            await asyncio.sleep(hang.seconds)
            raise TransientError("The connection was lost.", operation="any", code="ConnectionClosedError") from None
        finally:
            await asyncio.sleep(self._latency / 2)

    async def until(self, moment: float) -> None:
        await asyncio.sleep(moment - self.now)

    async def end_of(self, job_name: str, *, poll_interval: float = 5.0, **options: Any) -> Seen:
        """Watch a job; `since` and `deadline` are by the loop's clock, and turned to what this machine's shows."""
        for name in options.keys() & {"since", "deadline"}:
            options[name] = None if options[name] is None else START + options[name]
        end = await self.shared.jobs.end_of(Watch(job_name=job_name, poll_interval=poll_interval, **options))
        return Seen(end.outcome, self.now, end.message)

    def watch(self, job_name: str, **options: Any) -> asyncio.Task[Seen]:
        return asyncio.ensure_future(self.end_of(job_name, **options))

    async def ends_of(self, job_names: Iterable[str], **options: Any) -> dict[str, Seen]:
        """Watch jobs from now on, each to its end."""
        names = list(job_names)
        ends = await asyncio.gather(*(self.end_of(name, **options) for name in names))
        return dict(zip(names, ends, strict=True))


def lateness(account: Account, ends: Mapping[str, Seen]) -> list[float]:
    """Seconds from each job's end until its waiter was told that it had ended."""
    assert {seen.outcome for seen in ends.values()} == {JobOutcome.ENDED}
    return sorted(seen.at - account.jobs[name].ended_at() for name, seen in ends.items())
