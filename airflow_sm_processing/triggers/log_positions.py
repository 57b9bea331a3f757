"""Save how far the logs of deferred tasks were shown, at a pace that the triggerer's supervisor can handle."""

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
    """The positions from which and to which a log was shown; None is the log's start."""

__all__ = ["PositionSaver", "add_span", "forget_spans", "is_log_emptied", "spans_of"]


_MOST_LOGS = 20_000
_MOST_SPANS = 50
_MOST_LINES = 100  # in the position at a span's end
_spans: dict[Hashable, list[Span]] = {}


def spans_of(log: Hashable) -> list[Span]:
    """Return the spans of a log that this process has shown, in order."""
    return list(_spans.get(log, ()))


def add_span(log: Hashable, begin: LogPosition | None, end: LogPosition) -> None:
    """Add a span that a trigger has shown; if it begins at the last span's end, the last span is extended."""
    spans = _spans.pop(log, [])
    end = end.bounded(_MOST_LINES)
    if spans and begin == spans[-1][1]:
        spans[-1] = (spans[-1][0], end)
    elif end.streams and begin != end:
        spans.append((begin, end))
    if len(spans) > _MOST_SPANS:  # this shows what others showed in between twice, which is better than losing lines
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

    With local logs it does. With remote logging, the file's content was uploaded when the trigger left, and new lines
    are appended to that.
    """
    from airflow_sm_processing.airflow_compat import conf

    return not conf.getboolean("logging", "remote_logging", fallback=False)


log = logging.getLogger(__name__)

_PERIOD = 5.0
_A_ROUND = 10
"""XComs per second: the supervisor can write about fifty, but has other things to do too."""


class SavedLog(Protocol):
    """A log whose position is saved."""

    taken_at: float
    """When its position was last recorded, by the monotonic clock."""

    @property
    def has_news(self) -> bool:
        """Whether lines were shown after the recorded position."""

    def take_position(self) -> None:
        """Record the position, for saving it a round later."""

    async def keep_position(self) -> None:
        """Save the recorded position."""


class PositionSaver:
    """Saves changed positions, the oldest first, each every five seconds or as often as the pace allows."""

    def __init__(self) -> None:
        self._logs: set[SavedLog] = set()
        self._keeping: asyncio.Task[None] | None = None

    def keep(self, live_log: SavedLog) -> None:
        """Begin to save a log's position."""
        self._logs.add(live_log)
        if self._keeping is None:
            self._keeping = Context().run(asyncio.ensure_future, self._run())

    def forget(self, live_log: SavedLog) -> None:
        """Stop saving a log's position."""
        self._logs.discard(live_log)

    async def close(self) -> None:
        """Stop, and leave no asyncio task behind."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _run(self) -> None:
        """Save what was recorded a round ago: by now, its lines have left this process for the task's log."""
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
        except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; none may end a job's wait
            log.warning("Can't save the job's log position for now: %r", error)
