"""boto3 beside an event loop: a few threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]

_T = TypeVar("_T")


class Threads:
    """A pool of threads, made as they are needed; one connection's calls that hang don't hold up another's."""

    def __init__(self, count: int = 4) -> None:
        """Take the number of calls under way at a time: a call takes tens of milliseconds, a poll interval seconds."""
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="airflow-sm-processing")

    async def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run a blocking function without blocking the event loop.

        asgiref's bridge rather than a bare executor: through it, Airflow's own blocking calls such as
        `get_connection` find their way back to the loop that owns the supervisor's socket.
        """
        from asgiref.sync import sync_to_async

        call = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False, executor=self._pool)(*args))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # Airflow says in the cancellation's message that a user ended the task; asgiref would raise one without it.
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            raise

    def close(self) -> None:
        """Let the threads end when they are done."""
        self._pool.shutdown(wait=False)
