"""One lookout for all triggers of a connection in a triggerer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import AccessDeniedError, ProcessingError
from airflow_sm_processing.triggers.garbage import without_collections
from airflow_sm_processing.triggers.log_positions import PositionKeeper
from airflow_sm_processing.triggers.threads import Threads
from airflow_sm_processing.watcher.lookout import Lookout
from airflow_sm_processing.watcher.room import EndedJobs
from airflow_sm_processing.watcher.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_sm_processing.hooks.connection import AwsConnection

__all__ = ["TriggerLookout", "shared_lookout"]


class TriggerLookout(Lookout):
    """A lookout with threads of its own, a keeper of its logs' positions, and queues for room."""

    def __init__(self, connection: AwsConnection) -> None:
        self._threads = Threads()
        self.in_thread = self._threads.run
        super().__init__(lambda: _connect(connection), self._threads.run)
        self.positions = PositionKeeper()
        self.environment_turn = asyncio.Lock()
        self.users = 0
        self._turns: dict[str, Turns] = {}

    def turns(self, lane: str) -> Turns:
        """Give the queue of those for whose jobs there was no room."""
        if lane not in self._turns:
            self._turns[lane] = Turns(EndedJobs(self.calls, lane))
        return self._turns[lane]

    async def close(self) -> None:
        """End, and leave neither task nor thread behind."""
        for turns in self._turns.values():
            turns.close()
        await self.positions.close()
        await super().close()
        self._threads.close()


_shared: dict[tuple[int, str], TriggerLookout] = {}
_closing: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def shared_lookout(connection: AwsConnection) -> AsyncIterator[TriggerLookout]:
    """Give the lookout of a connection: made for the first user in an event loop, closed after the last."""
    key = (id(asyncio.get_running_loop()), connection.watch_key)
    if key not in _shared:
        _shared[key] = TriggerLookout(connection)
    lookout = _shared[key]
    lookout.users += 1
    try:
        yield lookout
    finally:
        lookout.users -= 1
        if not lookout.users:
            del _shared[key]
            await _closed(lookout)


async def _closed(lookout: TriggerLookout) -> None:
    """Close to the end, whatever becomes of the caller: Airflow repeats a cancellation each second."""
    closing = asyncio.ensure_future(lookout.close())
    _closing.add(closing)  # the loop itself keeps none
    closing.add_done_callback(_closing.discard)
    await asyncio.shield(closing)


def _connect(connection: AwsConnection) -> Callable[[str], Any]:
    with without_collections():
        hook = connection.hook()
    try:
        _ = hook.session  # Airflow is asked for the connection here, once
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
