"""One job's log as its follower sees it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.log_lines import event_lines
from airflow_sm_processing.processing.log_position import LogPosition, StreamPosition
from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.log_batches import weight
from airflow_sm_processing.watcher.log_stream import FollowedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_sm_processing.processing.log_lines import LogLine

    LineSink = Callable[[Sequence[LogLine]], None]
    """Takes a few lines at a time, in the event loop and in the context in which `follow` was called."""

__all__ = ["Followed"]

log = logging.getLogger(__name__)

_SLICE = 50  # events that are handed out before the event loop gets its turn
_CLOCK_SKEW_MS = 300_000
_NEVER = float("inf")


@dataclass(frozen=True)
class _Settling:
    since: float
    seconds: float


class Followed:
    """A job's log while it is followed; `LogFeed.follow` makes it.

    Attributes:
        has_news: Whether lines were handed out since the last `position()`.
        is_off: Whether no more lines will come: closed, or the log can't be read, as the job's log then says.
    """

    def __init__(
        self,
        job_name: str,
        sink: LineSink,
        *,
        position: LogPosition | None,
        since: float | None,
        hosts: int | None,
        on_change: Callable[[Followed], None],
        replayed: Sequence[tuple[LogPosition | None, LogPosition]] = (),
    ) -> None:
        self.job_name = job_name
        self._hosts = hosts
        self.has_news = False
        self.is_off = False
        self.has_all_hosts = False
        """Whether there is no stream left to look for."""
        self.looked_at = float("-inf")
        """When its streams were last looked for, in the event loop's time."""
        self.streams: dict[str, FollowedStream] = {}
        self._gone: dict[str, StreamPosition] = {}
        self._sink = sink
        self._on_change = on_change
        self._context = contextvars.copy_context()
        self._start = 0 if since is None else max(0, int(since * 1000) - _CLOCK_SKEW_MS)
        self._news_at = float("-inf")
        self._settling: _Settling | None = None
        self._progress = asyncio.Event()
        for name, start in (position or LogPosition()).streams.items():
            self._add_stream(name, start, self._spans_of(name, replayed))

    def position(self) -> LogPosition:
        """Give how far the log was handed out."""
        self.has_news = False
        read = {name: stream.memory.position() for name, stream in self.streams.items()}
        return LogPosition({**self._gone, **read}).bounded()

    async def settle(self, seconds: float) -> bool:
        """Read until nothing has come for that long; False if the log can't be read to its end.

        Streams that weren't found yet are looked for too. Trouble that passes is waited out: bound the time outside.
        """
        self._settling = _Settling(now(), seconds)
        self._on_change(self)
        try:
            while not self.is_off and min(self.read_due, self.look_due) < _NEVER:
                self._progress.clear()
                await self._progress.wait()
        finally:
            self._settling = None
            self._on_change(self)
        return not self.is_off

    @property
    def is_replaying(self) -> bool:
        """Whether lines are still to come that were handed out before."""
        return any(stream.is_replaying for stream in self.streams.values())

    def close(self) -> None:
        """Hand out no more lines; the position stays what it is."""
        if not self.is_off:
            self.is_off = True
            self._progress.set()
            self._on_change(self)

    @property
    def read_due(self) -> float:
        """When a settling log must be read next, in the event loop's time; infinity if it needn't."""
        return self._next_after(min((stream.read_at for stream in self.streams.values()), default=_NEVER))

    @property
    def look_due(self) -> float:
        """When the streams of a settling log must be looked for next; infinity if they needn't."""
        return _NEVER if self.has_all_hosts else self._next_after(self.looked_at)

    def _next_after(self, last: float) -> float:
        if self._settling is None:
            return _NEVER
        if last < self._settling.since:
            return self._settling.since
        settled = max(self._settling.since, self._news_at) + self._settling.seconds
        return settled if last < settled else _NEVER

    def found(self, names: Iterable[str]) -> None:
        """Take the streams that a look has found."""
        for name in names:
            if name not in self.streams:
                start = StreamPosition(since=self._start, until=self._start)
                self._add_stream(name, self._gone.pop(name, start))

    def drop(self, stream: FollowedStream) -> None:
        """Leave out a stream that was deleted; its position is kept, so that nobody shows its lines again."""
        if self.streams.pop(stream.name, None) is not None:
            self._gone[stream.name] = stream.memory.position()

    def check(self) -> None:
        """Let `settle` see whether it is done."""
        self._progress.set()

    @property
    def is_settling(self) -> bool:
        """Whether somebody waits for the log's end."""
        return self._settling is not None

    def fail(self, reason: object) -> None:
        """Give up, and say why in the job's own log."""
        if not self.is_off:
            self._context.run(
                log.warning, "The live log of %s is off; its lines come at the end. %s", self.job_name, reason
            )
            self.close()

    async def hand_out(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Hand out what is new of these events, a few at a time."""
        for start in range(0, len(events), _SLICE):
            if self.is_off:
                return
            lines = [line for event in events[start : start + _SLICE] for line in self._new_lines(event)]
            if lines:
                self._news_at = now()
                self.has_news = True
                self._give(lines)
            await asyncio.sleep(0)

    def _new_lines(self, event: Mapping[str, Any]) -> list[LogLine]:
        stream = self.streams.get(event["logStreamName"])
        if stream is None or not stream.memory.is_new(event):
            return []
        stream.count(weight(event["message"]))
        return event_lines(stream.host, event)

    def _give(self, lines: Sequence[LogLine]) -> None:
        try:
            self._context.run(self._sink, lines)
        except Exception:  # noqa: BLE001  # whatever it is, one job's sink must not end the others' logs
            self._context.run(log.exception, "The live log of %s is off: its lines can't be shown.", self.job_name)
            self.close()

    def _spans_of(
        self, name: str, replayed: Sequence[tuple[LogPosition | None, LogPosition]]
    ) -> list[tuple[StreamPosition, StreamPosition]]:
        unread = StreamPosition(since=self._start, until=self._start)
        return [
            (begin.streams.get(name, unread) if begin else unread, end.streams[name])
            for begin, end in replayed
            if name in end.streams
        ]

    def _add_stream(
        self, name: str, start: StreamPosition, spans: Sequence[tuple[StreamPosition, StreamPosition]] = ()
    ) -> None:
        self.streams[name] = (
            FollowedStream.replaying(start, spans, name=name, job=self)
            if spans
            else FollowedStream.starting_at(start, name=name, job=self)
        )
        self.has_all_hosts = self._hosts is not None and len(self.streams) >= self._hosts
