"""Which lines of a stream were handed out already, so that reading it again repeats none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.log_position import StreamPosition, first_key, line_key, time_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LineMemory", "ReplayMemory"]

REMEMBERED_LINES = 500
REMEMBERED_MS = 30_000
"""How much of a stream's end is remembered, whichever is less: a line that comes later than that is lost."""


class LineMemory:
    """The lines of one stream that were handed out: how often each, for identical lines are lines of their own.

    A reading goes through the stream in order, from `since` or any other time; `begin` opens each one.
    """

    __slots__ = (
        "_counts",
        "_floor",
        "_forget_at",
        "_known_until",
        "_matched",
        "_newest_key",
        "_skipped",
        "_skipped_at",
        "_skips_left",
        "newest",
        "since",
    )

    def __init__(self, start: StreamPosition) -> None:
        self.since = start.since
        """The time, in milliseconds, at and after which every line that was handed out is remembered."""
        self.newest = start.until
        """The time of the newest line that was handed out."""
        self._counts: dict[int, int] = {}
        for key in start.lines:
            self._counts[key] = self._counts.get(key, 0) + 1
        self._skipped_at, self._skipped = start.since, start.skipped
        self._newest_key = max((*self._counts, first_key(start.since + 1) if start.skipped else 0))
        self.begin()

    def begin(self) -> None:
        """Begin to read the stream again."""
        self._forget()
        self._floor = self.since
        self._known_until = self._newest_key
        self._matched: dict[int, int] = {}
        self._skips_left = self._skipped

    def is_new(self, event: Mapping[str, Any]) -> bool:
        """Tell whether an event hasn't been handed out, and remember it as handed out from now on."""
        timestamp: int = event["timestamp"]
        if timestamp < self._floor:
            return False
        key = line_key(timestamp, event["message"])
        if key > self._known_until:
            self._newest_key = max(self._newest_key, key)
        elif self._was_handed_out(key):
            return False
        self._counts[key] = self._counts.get(key, 0) + 1
        # A clock that is ahead must not make the stream's other lines look old: none is newer than its arrival.
        self.newest = max(self.newest, min(timestamp, event.get("ingestionTime", timestamp)))
        if len(self._counts) > self._forget_at and key > self._known_until:
            self._forget()
        return True

    def position(self) -> StreamPosition:
        """Give what is remembered."""
        lines = sorted(self._counts)
        if len(lines) != sum(self._counts.values()):
            lines = [key for key in lines for _ in range(self._counts[key])]
        skipped = self._skipped if self._skipped_at == self.since else 0
        return StreamPosition(since=self.since, until=self.newest, lines=tuple(lines), skipped=skipped)

    def _was_handed_out(self, key: int) -> bool:
        matched = self._matched.get(key, 0)
        if matched < self._counts.get(key, 0):
            self._matched[key] = matched + 1
            return True
        if self._skips_left and time_of(key) == self._skipped_at:
            self._skips_left -= 1
            return True
        self._matched[key] = matched + 1
        return False

    def _forget(self) -> None:
        """Forget lines that are old or too many, but none of the newest moment: a page may end within it."""
        since = max(self.since, self.newest - REMEMBERED_MS)
        if len(self._counts) > REMEMBERED_LINES:
            since = max(since, time_of(sorted(self._counts)[-REMEMBERED_LINES]))
        if since > self.since:
            first = first_key(since)
            self._counts = {key: count for key, count in self._counts.items() if key >= first}
            self.since = since
        self._forget_at = 2 * max(len(self._counts), REMEMBERED_LINES)


class ReplayMemory:
    """A memory that lets spans pass which were handed out before, and otherwise only what comes after a position.

    A span lies between two positions. Readers use it as they use a `LineMemory`, from the first span's begin.
    """

    __slots__ = ("_met", "_resumed", "_spans")

    def __init__(self, start: StreamPosition, spans: Sequence[tuple[StreamPosition, StreamPosition]]) -> None:
        first = min((begin for begin, _ in spans), key=lambda begin: begin.since)
        self._met = LineMemory(StreamPosition(since=first.since, until=first.since))
        # Each of these sees every line once, in one long reading: `_met` lets none pass again.
        self._resumed = LineMemory(start)
        self._spans = [(LineMemory(begin), LineMemory(end)) for begin, end in spans]

    @property
    def since(self) -> int:
        """The time, in milliseconds, from which the stream must be read again."""
        return self._met.since

    @property
    def newest(self) -> int:
        """The time of the newest line that was met."""
        return self._met.newest

    def begin(self) -> None:
        """Begin to read the stream again."""
        self._met.begin()

    def is_new(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event is to be handed out, and remember that it was met."""
        if not self._met.is_new(event):
            return False
        passes = [self._resumed.is_new(event)]
        for begin, end in self._spans:
            is_after_begin, is_after_end = begin.is_new(event), end.is_new(event)
            passes.append(is_after_begin and not is_after_end)
        return any(passes)

    def position(self) -> StreamPosition:
        """Return how far the stream was handed out by all its readers: a replay moves nothing back."""
        return self._resumed.position()
