"""What all who wait on one connection share."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.watcher.calls import AwsCalls
from airflow_sm_processing.watcher.log_feed import LogFeed
from airflow_sm_processing.watcher.watcher import JobWatcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_sm_processing.watcher.calls import MakeClient

__all__ = ["Lookout"]


class Lookout:
    """The calls, the watcher and the log feed of one connection in one event loop."""

    def __init__(
        self, connect: Callable[[], MakeClient], in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        """Take what `AwsCalls` takes, and begin to watch."""
        self.calls = AwsCalls(connect, in_thread)
        self.jobs = JobWatcher(self.calls)
        self.logs = LogFeed(self.calls.logs)
        # In a context of its own: what it logs is no single task's, and a context would outlive the trigger it is of.
        self._watching: asyncio.Task[None] = Context().run(asyncio.ensure_future, self.jobs.run())

    async def close(self) -> None:
        """End, and leave no task behind; a call under way in a thread is waited for."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self.logs.close()
        await self.calls.close()
