"""Share one watcher among all triggers of a connection in a triggerer."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_sm_processing.exceptions import AccessDeniedError, ProcessingError
from airflow_sm_processing.triggers.log_positions import PositionSaver
from airflow_sm_processing.watcher.capacity import CapacityQueue, EndedJobs
from airflow_sm_processing.watcher.client import AwsCalls
from airflow_sm_processing.watcher.log_feed import LogFeed
from airflow_sm_processing.watcher.watcher import JobWatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.watcher.client import MakeClient


__all__ = ["SharedWatcher", "Threads", "TriggerWatcher", "shared_watcher", "without_collections"]


_collector = threading.RLock()


@contextmanager
def without_collections() -> Iterator[None]:
    """Disable the garbage collector while boto3 is loaded and clients are created, and freeze what was loaded.

    Airflow and boto3 have a million long-lived objects. Scanning them all takes the collector a fifth of a second, in
    which no thread and no trigger runs, and loading megabytes of JSON makes it do so again and again. So it is disabled
    meanwhile, and after the first time all loaded objects are permanently excluded from collection, as in servers that
    are about to fork.
    """
    with _collector:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if was_enabled:
                _leave_out_what_is_loaded()
                gc.enable()


@cache
def _leave_out_what_is_loaded() -> None:
    gc.freeze()


_T = TypeVar("_T")


_LONG_SECONDS = 5.0


class Threads:
    """A pool of threads, created as needed, for one connection, so that hanging calls don't delay other connections.

    They don't delay the same connection's calls either: while a call takes long, a spare thread takes its place, as
    long as there are spare ones. A thread can't be interrupted.
    """

    def __init__(self, count: int = 4, *, spare: int = 16) -> None:
        """Create an empty pool.

        Args:
            count: The number of concurrent calls; a call takes tens of milliseconds, a poll interval seconds.
            spare: The number of additional threads, for when calls take long.
        """
        self._pool = ThreadPoolExecutor(count + spare, thread_name_prefix="airflow-sm-processing")
        self._places = asyncio.Semaphore(count)
        self._spare = spare
        self._calls: set[asyncio.Future[Any]] = set()

    async def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run a blocking function without blocking the event loop.

        It uses asgiref rather than a bare executor, because asgiref lets Airflow's blocking calls such as
        `get_connection` get back to the loop that owns the supervisor's socket.
        """
        from asgiref.sync import sync_to_async

        await self._places.acquire()
        call = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False, executor=self._pool)(*args))
        self._calls.add(call)  # the event loop itself doesn't keep a reference
        call.add_done_callback(self._note_done)
        self._keep_place(call)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # asgiref would cancel the thread's pending request in the loop. A request to Airflow's supervisor must not
            # be cancelled: Airflow 3.1 would give its response to the next request, and the whole triggerer would end.
            await asyncio.wait({call})
            raise

    def _keep_place(self, call: asyncio.Future[Any]) -> None:
        """Hold the call's place until it is done, or until it has taken long and a spare thread can take its place."""
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
            call.exception()  # retrieved here so that asyncio doesn't log it if nobody waits for the call any more

    def close(self) -> None:
        """Let the threads end when their calls are done."""
        self._pool.shutdown(wait=False)


class SharedWatcher:
    """The calls, the watcher and the log feed of one connection in one event loop."""

    def __init__(
        self, connect: Callable[[], MakeClient], in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        """Set the parameters of `AwsCalls`, and begin to watch."""
        self.calls = AwsCalls(connect, in_thread)
        self.jobs = JobWatcher(self.calls)
        self.logs = LogFeed(self.calls.logs)
        # In a separate context: its log lines don't belong to one task, and a trigger's context must not outlive it.
        self._watching: asyncio.Task[None] = Context().run(asyncio.ensure_future, self.jobs.run())

    async def close(self) -> None:
        """Stop, and leave no asyncio task behind; wait for calls that are running in threads."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self.logs.close()
        await self.calls.close()


class TriggerWatcher(SharedWatcher):
    """A shared watcher with its own threads, which also saves log positions and has the capacity queues."""

    def __init__(self, connection: AwsConnection) -> None:
        self._threads = Threads()
        self.in_thread = self._threads.run
        super().__init__(lambda: _connect(connection), self._threads.run)
        self.positions = PositionSaver()
        self.environment_permit = asyncio.Lock()
        self.users = 0
        self._capacity_queue: dict[str, CapacityQueue] = {}

    def capacity_queue(self, queue_key: str) -> CapacityQueue:
        """Return the queue of the tasks that wait for this capacity."""
        if queue_key not in self._capacity_queue:
            self._capacity_queue[queue_key] = CapacityQueue(EndedJobs(self.calls, queue_key))
        return self._capacity_queue[queue_key]

    async def close(self) -> None:
        """Stop, and leave neither asyncio tasks nor threads behind."""
        for capacity_queue in self._capacity_queue.values():
            capacity_queue.close()
        await self.positions.close()
        await super().close()
        self._threads.close()


_shared: dict[tuple[int, str], TriggerWatcher] = {}
_closing: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def shared_watcher(connection: AwsConnection) -> AsyncIterator[TriggerWatcher]:
    """Yield the shared watcher of a connection: created for the first user in an event loop, closed after the last."""
    key = (id(asyncio.get_running_loop()), connection.watch_key)
    if key not in _shared:
        _shared[key] = TriggerWatcher(connection)
    shared = _shared[key]
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[key]
            await _closed(shared)


async def _closed(shared: TriggerWatcher) -> None:
    """Close the watcher completely, even if the caller is cancelled: Airflow repeats a cancellation each second."""
    closing = asyncio.ensure_future(shared.close())
    _closing.add(closing)  # the event loop itself doesn't keep a reference
    closing.add_done_callback(_closing.discard)
    await asyncio.shield(closing)


def _connect(connection: AwsConnection) -> Callable[[str], Any]:
    with without_collections():
        hook = connection.hook()
    try:
        _ = hook.session  # this reads the connection from Airflow, once
    except ProcessingError:
        raise
    except Exception as error:
        message = (
            f"Airflow's connection {connection.aws_conn_id} couldn't be read: {error!r}. It is tried again for a while."
        )
        raise AccessDeniedError(message, operation="GetConnection", code=type(error).__name__) from error

    def make(service_name: str) -> Any:
        with without_collections():
            return hook.single_attempt_client(service_name)

    return make
