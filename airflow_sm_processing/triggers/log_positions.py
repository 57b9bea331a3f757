"""Save how far the logs of deferred tasks were shown, at a rate that the triggerer's supervisor can handle."""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import Context
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

    from airflow_sm_processing.processing.log_events import LogPosition

    Span = tuple[LogPosition | None, LogPosition]
    """From where to where a log was shown; None is its start."""

__all__ = ["PositionSaver", "add_span", "forget_spans", "is_log_emptied", "spans_of"]


_MOST_LOGS = 20_000
_MOST_SPANS = 50
_MOST_LINES = 100  # listed in a span's end
_spans: dict[Hashable, list[Span]] = {}


def spans_of(log: Hashable) -> list[Span]:
    """Return what this process has shown of a log, in order."""
    return list(_spans.get(log, ()))


def add_span(log: Hashable, begin: LogPosition | None, end: LogPosition) -> None:
    """Note what a trigger has shown, from where it went on; one that went on from the last span's end prolongs it."""
    spans = _spans.pop(log, [])
    end = end.bounded(_MOST_LINES)
    if spans and begin == spans[-1][1]:
        spans[-1] = (spans[-1][0], end)
    elif end.streams and begin != end:
        spans.append((begin, end))
    if len(spans) > _MOST_SPANS:  # better shown twice than lost: what others showed in between comes too
        spans[:2] = [(spans[0][0], spans[1][1])]
    if not spans:
        return
    if len(_spans) >= _MOST_LOGS:
        del _spans[next(iter(_spans))]
    _spans[log] = spans


def forget_spans(log: Hashable) -> None:
    """Forget a log whose task has ended."""
    _spans.pop(log, None)


def is_log_emptied() -> bool:
    """Return whether Airflow empties a trigger's log file when the trigger comes back to a triggerer.

    It does. Where logs are kept remotely, what the file had was sent there when the trigger left, and what comes now is
    put after it.
    """
    from airflow_sm_processing.airflow_compat import conf

    return not conf.getboolean("logging", "remote_logging", fallback=False)


log = logging.getLogger(__name__)

_PERIOD = 5.0
_A_ROUND = 10
"""A second: of the fifty or so XComs that the supervisor can write in one, for it has all else to do as well."""


class SavedLog(Protocol):
    """A log whose position is saved."""

    taken_at: float
    """When its position was last taken down, by the monotonic clock."""

    @property
    def has_news(self) -> bool:
        """Whether there are lines after the position that was taken down."""

    def take_position(self) -> None:
        """Record the position, to be saved a round later."""

    async def keep_position(self) -> None:
        """Save the position that was taken down."""


class PositionSaver:
    """Writes the positions that changed, the oldest first: each every five seconds, or as often as the pace allows."""

    def __init__(self) -> None:
        self._logs: set[SavedLog] = set()
        self._keeping: asyncio.Task[None] | None = None

    def keep(self, live_log: SavedLog) -> None:
        """Begin to keep a log's position."""
        self._logs.add(live_log)
        if self._keeping is None:
            self._keeping = Context().run(asyncio.ensure_future, self._run())

    def forget(self, live_log: SavedLog) -> None:
        """Remove it."""
        self._logs.discard(live_log)

    async def close(self) -> None:
        """End, and leave no task behind."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _run(self) -> None:
        """Save what was recorded a round ago: by then its lines have long left this process for the task's log."""
        taken: list[SavedLog] = []
        while True:
            await asyncio.sleep(1)
            for live_log in taken:
                await self._keep(live_log)
            long_ago = time.monotonic() - _PERIOD
            due = [live_log for live_log in self._logs if live_log.has_news and live_log.taken_at <= long_ago]
            taken = sorted(due, key=lambda live_log: live_log.taken_at)[:_A_ROUND]
            for live_log in taken:
                live_log.take_position()

    async def _keep(self, live_log: SavedLog) -> None:
        if live_log not in self._logs:  # its task has ended meanwhile
            return
        try:
            await live_log.keep_position()
        except Exception as error:  # noqa: BLE001  # of Airflow's many kinds; none is worth a job's wait
            log.warning("Can't save the job's log position for now: %r", error)
