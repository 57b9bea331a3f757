"""How far a job's log has been read, as plain JSON: one reader continues where another has ended."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["LogPosition", "StreamPosition", "first_key", "line_key", "time_of"]

MOST_LINES = 1000
"""Lines that a position lists: at most about 20 KB of JSON."""
COARSE_MS = 2000
COARSE_LINES = 100
"""Lines that a coarse position lists, if there are no more: then nothing at all is repeated."""

_DIGEST_BYTES = 6  # of two lines that differ but share their millisecond, one pair in 10^14 has the same digest
_DIGEST_BITS = 8 * _DIGEST_BYTES


def line_key(timestamp: int, message: str) -> int:
    """Give the key of an event, the same whether GetLogEvents gave it or FilterLogEvents; keys sort by time.

    GetLogEvents gives no event IDs, so the key is the time, in milliseconds since the epoch, and the text's digest.
    """
    digest = blake2b(message.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return timestamp << _DIGEST_BITS | int.from_bytes(digest, "big")


def time_of(key: int) -> int:
    """Give the time of a line's key, in milliseconds since the epoch."""
    return key >> _DIGEST_BITS


def first_key(timestamp: int) -> int:
    """Give the least key that a line of that time can have."""
    return timestamp << _DIGEST_BITS


@dataclass(frozen=True, kw_only=True)
class StreamPosition:
    """How far one log stream has been read; times are CloudWatch's, in milliseconds since the epoch."""

    since: int
    """The time from which to read again: lines may come late."""
    until: int
    """The time of the newest line that was handed out."""
    lines: tuple[int, ...] = ()
    """The keys of what was handed out at and after `since`, sorted; identical lines are listed as often."""
    skipped: int = 0
    """How many lines of the moment `since` were handed out beyond those listed: the first ones that a reader meets."""

    def after(self, timestamp: int) -> StreamPosition:
        """Move nearer to the end: list lines after `timestamp` only, and if there are none, count the last moment's."""
        if not self.lines:
            return self
        kept = tuple(key for key in self.lines if time_of(key) > timestamp)
        if kept:
            return self._moved(max(self.since, timestamp + 1), kept)
        last = time_of(self.lines[-1])
        counted = sum(time_of(key) == last for key in self.lines)
        return StreamPosition(since=last, until=self.until, skipped=counted + self._skipped_at(last))

    def recent(self, milliseconds: int) -> StreamPosition:
        """Move to that long before the newest line, if that is nearer to the end."""
        since = max(self.since, self.until - milliseconds)
        return self._moved(since, tuple(key for key in self.lines if time_of(key) >= since))

    def joined(self, other: StreamPosition) -> StreamPosition:
        """Return the one that is farther on, with what the other lists beyond; if both are, the one that tells more."""
        nearer, farther = sorted((self, other), key=lambda position: (position.until, -position.since))
        if farther.skipped:
            return farther
        listed = Counter(farther.lines) | Counter(key for key in nearer.lines if time_of(key) >= farther.since)
        return StreamPosition(since=farther.since, until=farther.until, lines=tuple(sorted(listed.elements())))

    def unlisted(self) -> StreamPosition:
        """Forget which lines were handed out: a reader repeats them."""
        return StreamPosition(since=self.since, until=self.until)

    def _moved(self, since: int, lines: tuple[int, ...]) -> StreamPosition:
        return StreamPosition(since=since, until=self.until, lines=lines, skipped=self._skipped_at(since))

    def _skipped_at(self, timestamp: int) -> int:
        return self.skipped if timestamp == self.since else 0

    def to_plain(self) -> dict[str, Any]:
        """Give plain JSON: `from`, `to`, and the lines' digests by milliseconds after `from`."""
        plain: dict[str, Any] = {"from": self.since, "to": self.until}
        if self.lines:
            by_time = groupby(self.lines, key=time_of)
            plain["lines"] = {str(timestamp - self.since): _encoded(keys) for timestamp, keys in by_time}
        if self.skipped:
            plain["skip"] = self.skipped
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> StreamPosition:
        """Read what `to_plain` gave."""
        since = plain["from"]
        moments = (_decoded(since + int(offset), text) for offset, text in plain.get("lines", {}).items())
        lines = tuple(sorted(chain.from_iterable(moments)))
        return cls(since=since, until=plain["to"], lines=lines, skipped=plain.get("skip", 0))


@dataclass(frozen=True)
class LogPosition:
    """How far each stream of a job has been read; of a stream that isn't named, nothing has been."""

    streams: Mapping[str, StreamPosition] = field(default_factory=dict)
    """By the stream's name."""

    def bounded(self, most_lines: int = MOST_LINES) -> LogPosition:
        """List at most that many lines of all streams together; where there are more, move nearer to the end.

        Nothing is repeated by it, and nothing lost but a line that comes later than the position allows.
        """
        times = sorted(time_of(key) for stream in self.streams.values() for key in stream.lines)
        if len(times) <= most_lines:
            return self
        last_dropped = times[-most_lines - 1]
        return LogPosition({name: stream.after(last_dropped) for name, stream in self.streams.items()})

    def coarse(self) -> LogPosition:
        """Give a small position, to be kept every few seconds: after it, a busy job's last seconds are repeated."""
        recent = {name: stream.recent(COARSE_MS) for name, stream in self.streams.items()}
        if sum(len(stream.lines) for stream in recent.values()) <= COARSE_LINES:
            return LogPosition(recent)
        return LogPosition({name: stream.unlisted() for name, stream in recent.items()})

    def joined(self, other: LogPosition) -> LogPosition:
        """Return what two readers have handed out between them: of each stream, the position that is farther on."""
        both = {
            name: stream.joined(self.streams[name]) if name in self.streams else stream
            for name, stream in other.streams.items()
        }
        return LogPosition({**self.streams, **both})

    def to_plain(self) -> dict[str, Any]:
        """Give plain JSON, by the stream's name."""
        return {name: stream.to_plain() for name, stream in self.streams.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LogPosition:
        """Read what `to_plain` gave."""
        return cls({name: StreamPosition.from_plain(stream) for name, stream in plain.items()})


def _encoded(keys: Iterable[int]) -> str:
    digests = (key & ((1 << _DIGEST_BITS) - 1) for key in keys)
    return urlsafe_b64encode(b"".join(digest.to_bytes(_DIGEST_BYTES, "big") for digest in digests)).decode("ascii")


def _decoded(timestamp: int, text: str) -> Iterator[int]:
    digests = urlsafe_b64decode(text)
    for start in range(0, len(digests), _DIGEST_BYTES):
        yield first_key(timestamp) | int.from_bytes(digests[start : start + _DIGEST_BYTES], "big")
