"""boto3 in a triggerer: a few threads, and one hook for all triggers of a connection."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook

__all__ = ["in_thread", "shared_hook"]

_T = TypeVar("_T")

_THREADS = 4  # calls under way at a time: a call takes tens of milliseconds, a poll interval takes seconds


@dataclass
class _Shared:
    hook: asyncio.Future[ProcessingHook]
    users: int = 0


_shared: dict[tuple[int, str], _Shared] = {}


async def in_thread(function: Callable[..., _T], *args: Any) -> _T:
    """Run a blocking function without blocking the event loop.

    asgiref's bridge rather than a bare executor: through it, Airflow's own blocking calls such as `get_connection`
    find their way back to the loop that owns the supervisor's socket.
    """
    from asgiref.sync import sync_to_async

    call = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False, executor=_pool())(*args))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        # Airflow says in the cancellation's message that a user ended the task; asgiref would raise one without it.
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        raise


@asynccontextmanager
async def shared_hook(connection: AwsConnection) -> AsyncIterator[ProcessingHook]:
    """Give the hook that all triggers of a connection share in one event loop; the last user's leaving drops it."""
    key = (id(asyncio.get_running_loop()), connection.key)
    if key not in _shared:
        _shared[key] = _Shared(asyncio.ensure_future(in_thread(_connected_hook, connection)))
    shared = _shared[key]
    shared.users += 1
    try:
        yield await asyncio.shield(shared.hook)
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[key]
            shared.hook.cancel()  # nobody waits for it any more, if it is still being made


def _connected_hook(connection: AwsConnection) -> ProcessingHook:
    """Give a hook whose session is made: of the threads that use it, none makes another."""
    hook = connection.hook()
    _ = hook.session
    return hook


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="airflow-sm-processing")
