"""Waits for room for another job without holding a worker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.triggers.events import settled
from airflow_sm_processing.triggers.shared_watcher import shared_watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CapacityTrigger", "Refusals"]


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """That AWS had no room for a task's job, so far."""

    since: float
    """When it was first refused, in seconds since the epoch."""
    count: int = 1

    def to_payload(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)


class CapacityTrigger(BaseTrigger):
    """Fires when it is the task's turn to try again, or when it may wait no longer.

    All that wait on a connection for the same kind of instance stand in one queue.
    """

    def __init__(
        self,
        connection: dict[str, Any] | None = None,
        queue_key: str = "",
        since: float = 0.0,
        count: int = 1,
        until: float | None = None,
        refused_at: float | None = None,
    ) -> None:
        """Accept plain values only: they go through Airflow's database.

        Args:
            connection: The fields of an `AwsConnection`.
            queue_key: What there is no room for, such as an instance type.
            since: A field of `Refusals`.
            count: Another.
            until: When to fire at the latest, in seconds since the epoch.
            refused_at: When the last refusal was, in seconds since the epoch, if its reason was a quota: then there is
                no room until another job has ended.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.connection = AwsConnection(**(connection or {}))
        self.queue_key = queue_key
        self.since = since
        self.count = count
        self.until = until
        self.refused_at = refused_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "connection": self.connection.serialize(),
            "queue_key": self.queue_key,
            "since": self.since,
            "count": self.count,
            "until": self.until,
            "refused_at": self.refused_at,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the turn, then yield the one event: the fields of `Refusals`."""
        began = time.monotonic()
        async with shared_watcher(self.connection) as shared:
            capacity_queue = shared.capacity_queue(self.queue_key)
            if self.count > 1:
                capacity_queue.refused()
            await settled(began)
            self.log.info("Waiting for capacity, one of %d jobs in the queue.", len(capacity_queue) + 1)
            try:
                await asyncio.wait_for(capacity_queue.wait(self.since, self.refused_at), self._seconds_left())
            except asyncio.TimeoutError:
                self.log.info("The time to wait for capacity is over.")
        refusals = Refusals(since=self.since, count=self.count)
        yield TriggerEvent(refusals.to_payload())  # type: ignore[no-untyped-call]  # Airflow's is untyped

    def _seconds_left(self) -> float | None:
        return None if self.until is None else max(0.0, self.until - time.time())
