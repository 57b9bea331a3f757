"""Keeps how far the logs of deferred tasks were shown, at a pace that the triggerer's supervisor bears."""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_sm_processing.triggers.live_log import LiveLog

__all__ = ["PositionKeeper"]

log = logging.getLogger(__name__)

_PERIOD = 5.0
_A_ROUND = 10
"""A second: of the fifty or so XComs that the supervisor can write in one, for it has all else to do as well."""


class PositionKeeper:
    """Writes the positions that changed, the oldest first: each every five seconds, or as often as the pace allows."""

    def __init__(self) -> None:
        self._logs: set[LiveLog] = set()
        self._keeping: asyncio.Task[None] | None = None

    def keep(self, live_log: LiveLog) -> None:
        """Begin to keep a log's position."""
        self._logs.add(live_log)
        if self._keeping is None:
            self._keeping = Context().run(asyncio.ensure_future, self._run())

    def forget(self, live_log: LiveLog) -> None:
        """Keep it no longer."""
        self._logs.discard(live_log)

    async def close(self) -> None:
        """End, and leave no task behind."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _run(self) -> None:
        """Keep what was taken down a round ago: by then its lines have long left this process for the task's log."""
        taken: list[LiveLog] = []
        while True:
            await asyncio.sleep(1)
            for live_log in taken:
                await self._keep(live_log)
            long_ago = time.monotonic() - _PERIOD
            due = [live_log for live_log in self._logs if live_log.has_news and live_log.taken_at <= long_ago]
            taken = sorted(due, key=lambda live_log: live_log.taken_at)[:_A_ROUND]
            for live_log in taken:
                live_log.take_position()

    async def _keep(self, live_log: LiveLog) -> None:
        if live_log not in self._logs:  # its task has ended meanwhile
            return
        try:
            await live_log.keep_position()
        except Exception as error:  # noqa: BLE001  # of Airflow's many kinds; none is worth a job's wait
            log.warning("How far a job's log was shown can't be kept, for now: %r", error)
