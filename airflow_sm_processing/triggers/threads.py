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
        self._calls: set[asyncio.Future[Any]] = set()

    async def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run a blocking function without blocking the event loop.

        asgiref's bridge rather than a bare executor: through it, Airflow's own blocking calls such as
        `get_connection` find their way back to the loop that owns the supervisor's socket.
        """
        from asgiref.sync import sync_to_async

        call = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False, executor=self._pool)(*args))
        self._calls.add(call)  # the loop itself keeps none
        call.add_done_callback(self._note_done)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # asgiref would cancel what the thread asks of the loop meanwhile. A question to Airflow's supervisor must
            # not be cancelled: Airflow 3.1 gives its answer to the next who asks, and the whole triggerer ends.
            await asyncio.wait({call})
            raise

    def _note_done(self, call: asyncio.Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # it is known to whoever waits for it; if nobody does, it is of no interest

    def close(self) -> None:
        """Let the threads end when they are done."""
        self._pool.shutdown(wait=False)
