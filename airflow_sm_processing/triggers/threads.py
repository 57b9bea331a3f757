"""boto3 beside an event loop: a few threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]

_T = TypeVar("_T")


_LONG_SECONDS = 5.0


class Threads:
    """A pool of threads, made as they are needed; one connection's calls that hang don't hold up another's.

    Nor do they hold up the same connection's: the place of a call that takes long is given to another thread, as often
    as there are spare ones. A thread can't be interrupted.
    """

    def __init__(self, count: int = 4, *, spare: int = 16) -> None:
        """Make an empty pool.

        Args:
            count: Calls under way at a time: a call takes tens of milliseconds, a poll interval seconds.
            spare: Threads that may be busy with calls that take long, besides.
        """
        self._pool = ThreadPoolExecutor(count + spare, thread_name_prefix="airflow-sm-processing")
        self._places = asyncio.Semaphore(count)
        self._spare = spare
        self._calls: set[asyncio.Future[Any]] = set()

    async def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run a blocking function without blocking the event loop.

        asgiref's bridge rather than a bare executor: through it, Airflow's own blocking calls such as
        `get_connection` find their way back to the loop that owns the supervisor's socket.
        """
        from asgiref.sync import sync_to_async

        await self._places.acquire()
        call = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False, executor=self._pool)(*args))
        self._calls.add(call)  # the loop itself keeps none
        call.add_done_callback(self._note_done)
        self._keep_place(call)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # asgiref would cancel what the thread asks of the loop meanwhile. A question to Airflow's supervisor must
            # not be cancelled: Airflow 3.1 gives its answer to the next who asks, and the whole triggerer ends.
            await asyncio.wait({call})
            raise

    def _keep_place(self, call: asyncio.Future[Any]) -> None:
        """Keep the call's place until it is done, or until it has taken long and a spare thread can take its place."""
        is_spared = False

        def spare() -> None:
            nonlocal is_spared
            if self._spare:
                self._spare -= 1
                is_spared = True
                self._places.release()

        def leave(_: asyncio.Future[Any]) -> None:
            timer.cancel()
            if is_spared:
                self._spare += 1
            else:
                self._places.release()

        timer = asyncio.get_running_loop().call_later(_LONG_SECONDS, spare)
        call.add_done_callback(leave)

    def _note_done(self, call: asyncio.Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # it is known to whoever waits for it; if nobody does, it is of no interest

    def close(self) -> None:
        """Let the threads end when they are done."""
        self._pool.shutdown(wait=False)
