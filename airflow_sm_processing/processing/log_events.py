"""Log events: hosts and lines from CloudWatch's streams, a reader's position, and the lines that it has seen."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import blake2b
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.redaction import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


__all__ = [
    "EVERY_HOST",
    "LogLine",
    "LogPosition",
    "ReplayedLines",
    "SeenLines",
    "StreamPosition",
    "event_lines",
    "first_key",
    "host_of",
    "line_key",
    "readable_events",
    "telling_line",
    "time_of",
]


MOST_LINES = 1000
"""The maximum number of lines in a position, which make about 20 KB of JSON."""
COARSE_MS = 2000
COARSE_LINES = 100
"""The maximum number of lines in a coarse position; if there are no more, no line is repeated."""

_DIGEST_BYTES = 6  # of pairs of different lines with the same millisecond, one in 10^14 has equal digests
_DIGEST_BITS = 8 * _DIGEST_BYTES


def line_key(timestamp: int, message: str) -> int:
    """Return an event's key, which is the same from GetLogEvents and FilterLogEvents; keys sort by time.

    GetLogEvents returns no event IDs, so the key is the time, in milliseconds since the epoch, and the text's digest.
    """
    digest = blake2b(message.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return timestamp << _DIGEST_BITS | int.from_bytes(digest, "big")


def time_of(key: int) -> int:
    """Return the time of a line's key, in milliseconds since the epoch."""
    return key >> _DIGEST_BITS


def first_key(timestamp: int) -> int:
    """Return the smallest key that a line with that time can have."""
    return timestamp << _DIGEST_BITS


@dataclass(frozen=True, kw_only=True)
class StreamPosition:
    """How far one log stream has been read; times are CloudWatch's, in milliseconds since the epoch."""

    since: int
    """The time from which to read again, as lines may arrive late."""
    until: int
    """The time of the newest line that was delivered."""
    lines: tuple[int, ...] = ()
    """The sorted keys of the lines delivered at and after `since`; identical lines are listed once for each."""
    skipped: int = 0
    """How many more lines with the time `since` were delivered but aren't listed; a reader meets these first."""

    def after(self, timestamp: int) -> StreamPosition:
        """Return a position nearer to the end, with only the lines after `timestamp`.

        If there are no such lines, those of the last moment are counted instead of listed.
        """
        if not self.lines:
            return self
        kept = tuple(key for key in self.lines if time_of(key) > timestamp)
        if kept:
            return self._moved(max(self.since, timestamp + 1), kept)
        last = time_of(self.lines[-1])
        counted = sum(time_of(key) == last for key in self.lines)
        return StreamPosition(since=last, until=self.until, skipped=counted + self._skipped_at(last))

    def recent(self, milliseconds: int) -> StreamPosition:
        """Return a position that long before the newest line, if that is nearer to the end."""
        since = max(self.since, self.until - milliseconds)
        return self._moved(since, tuple(key for key in self.lines if time_of(key) >= since))

    def joined(self, other: StreamPosition) -> StreamPosition:
        """Return the position that is farther on, with the other's later lines; of equal ones, the more detailed."""
        nearer, farther = sorted((self, other), key=lambda position: (position.until, -position.since))
        if farther.skipped:
            return farther
        listed = Counter(farther.lines) | Counter(key for key in nearer.lines if time_of(key) >= farther.since)
        return StreamPosition(since=farther.since, until=farther.until, lines=tuple(sorted(listed.elements())))

    def unlisted(self) -> StreamPosition:
        """Return the position without its lines, so that a reader repeats them."""
        return StreamPosition(since=self.since, until=self.until)

    def _moved(self, since: int, lines: tuple[int, ...]) -> StreamPosition:
        return StreamPosition(since=since, until=self.until, lines=lines, skipped=self._skipped_at(since))

    def _skipped_at(self, timestamp: int) -> int:
        return self.skipped if timestamp == self.since else 0

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON: `from`, `to`, and the lines' digests by milliseconds after `from`."""
        plain: dict[str, Any] = {"from": self.since, "to": self.until}
        if self.lines:
            by_time = groupby(self.lines, key=time_of)
            plain["lines"] = {str(timestamp - self.since): _encoded(keys) for timestamp, keys in by_time}
        if self.skipped:
            plain["skip"] = self.skipped
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> StreamPosition:
        """Read the result of `to_plain`."""
        since = plain["from"]
        moments = (_decoded(since + int(offset), text) for offset, text in plain.get("lines", {}).items())
        lines = tuple(sorted(chain.from_iterable(moments)))
        return cls(since=since, until=plain["to"], lines=lines, skipped=plain.get("skip", 0))


@dataclass(frozen=True)
class LogPosition:
    """How far each stream of a job has been read; streams that aren't in it haven't been read at all."""

    streams: Mapping[str, StreamPosition] = field(default_factory=dict)
    """The positions by the stream's name."""

    def bounded(self, most_lines: int = MOST_LINES) -> LogPosition:
        """Return a position with at most that many lines in all streams, moved nearer to the end if there are more.

        This repeats no lines, and loses only lines that arrive later than the position allows.
        """
        times = sorted(time_of(key) for stream in self.streams.values() for key in stream.lines)
        if len(times) <= most_lines:
            return self
        last_dropped = times[-most_lines - 1]
        return LogPosition({name: stream.after(last_dropped) for name, stream in self.streams.items()})

    def coarse(self) -> LogPosition:
        """Return a small position, for storing every few seconds; with it, a busy job's last seconds are repeated."""
        recent = {name: stream.recent(COARSE_MS) for name, stream in self.streams.items()}
        if sum(len(stream.lines) for stream in recent.values()) <= COARSE_LINES:
            return LogPosition(recent)
        return LogPosition({name: stream.unlisted() for name, stream in recent.items()})

    def joined(self, other: LogPosition) -> LogPosition:
        """Return what two readers have delivered together: for each stream, the position that is farther on."""
        both = {
            name: stream.joined(self.streams[name]) if name in self.streams else stream
            for name, stream in other.streams.items()
        }
        return LogPosition({**self.streams, **both})

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON, by the stream's name."""
        return {name: stream.to_plain() for name, stream in self.streams.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LogPosition:
        """Read the result of `to_plain`."""
        return cls({name: StreamPosition.from_plain(stream) for name, stream in plain.items()})


def _encoded(keys: Iterable[int]) -> str:
    digests = (key & ((1 << _DIGEST_BITS) - 1) for key in keys)
    return urlsafe_b64encode(b"".join(digest.to_bytes(_DIGEST_BYTES, "big") for digest in digests)).decode("ascii")


def _decoded(timestamp: int, text: str) -> Iterator[int]:
    digests = urlsafe_b64decode(text)
    for start in range(0, len(digests), _DIGEST_BYTES):
        yield first_key(timestamp) | int.from_bytes(digests[start : start + _DIGEST_BYTES], "big")


REMEMBERED_LINES = 500
REMEMBERED_MS = 30_000
"""How much of a stream's end is remembered: so many lines or milliseconds, whichever is less; later lines are lost."""


class SeenLines:
    """The delivered lines of one stream, with how often each was delivered, as lines may be identical.

    Each reading of the stream starts with `begin` and goes through it in order, from `since` or another time.
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
        """The time, in milliseconds, from which on all delivered lines are remembered."""
        self.newest = start.until
        """The time of the newest line that was delivered."""
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
        """Return whether an event hasn't been delivered yet, and remember it as delivered."""
        timestamp: int = event["timestamp"]
        if timestamp < self._floor:
            return False
        key = line_key(timestamp, event["message"])
        if key > self._known_until:
            self._newest_key = max(self._newest_key, key)
        elif self._was_handed_out(key):
            return False
        self._counts[key] = self._counts.get(key, 0) + 1
        # A host's clock that is ahead must not make the other lines look old: no line is newer than its ingestion time.
        self.newest = max(self.newest, min(timestamp, event.get("ingestionTime", timestamp)))
        if len(self._counts) > self._forget_at and key > self._known_until:
            self._forget()
        return True

    def position(self) -> StreamPosition:
        """Return the position with the remembered lines."""
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
        """Forget lines that are old or too many, but keep those of the newest moment: a page may end within it."""
        since = max(self.since, self.newest - REMEMBERED_MS)
        if len(self._counts) > REMEMBERED_LINES:
            since = max(since, time_of(sorted(self._counts)[-REMEMBERED_LINES]))
        if since > self.since:
            first = first_key(since)
            self._counts = {key: count for key, count in self._counts.items() if key >= first}
            self.since = since
        self._forget_at = 2 * max(len(self._counts), REMEMBERED_LINES)


class ReplayedLines:
    """Like `SeenLines`, but also delivers certain spans again, besides the lines after a position.

    A span lies between two positions. Reading starts at the beginning of the first span.
    """

    __slots__ = ("_met", "_resumed", "_spans")

    def __init__(self, start: StreamPosition, spans: Sequence[tuple[StreamPosition, StreamPosition]]) -> None:
        first = min((begin for begin, _ in spans), key=lambda begin: begin.since)
        self._met = SeenLines(StreamPosition(since=first.since, until=first.since))
        # Each of these sees every line once, in one long reading, because `_met` lets no line through twice.
        self._resumed = SeenLines(start)
        self._spans = [(SeenLines(begin), SeenLines(end)) for begin, end in spans]

    @property
    def since(self) -> int:
        """The time, in milliseconds, from which the stream has to be read again."""
        return self._met.since

    @property
    def newest(self) -> int:
        """The time of the newest line that was read."""
        return self._met.newest

    def begin(self) -> None:
        """Begin to read the stream again."""
        self._met.begin()

    def is_new(self, event: Mapping[str, Any]) -> bool:
        """Return whether to deliver an event, and remember that it was read."""
        if not self._met.is_new(event):
            return False
        passes = [self._resumed.is_new(event)]
        for begin, end in self._spans:
            is_after_begin, is_after_end = begin.is_new(event), end.is_new(event)
            passes.append(is_after_begin and not is_after_end)
        return any(passes)

    def position(self) -> StreamPosition:
        """Return how far the stream was delivered to all its readers; a replay doesn't move this back."""
        return self._resumed.position()


_HOST = re.compile(r"(algo-\d+)(?:-|$)")
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class LogLine:
    """One line that a host of the job wrote."""

    host: str
    """The container's host, such as `algo-1`."""
    timestamp: datetime
    """CloudWatch's time of the event, in UTC."""
    message: str

    def __str__(self) -> str:
        return f"[{self.host}] {self.moment} {self.message}"

    @property
    def moment(self) -> str:
        """The time as text, such as `2026-01-01T00:00:00.007Z`."""
        return (
            f"{self.timestamp.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"  # 3 times faster than strftime
        )

    def log_to(self, logger: Any) -> None:
        """Write the line to a task's log, without its time in the text, since the log has a time for each line.

        The line's own time is in the event's field `chan`, which Airflow's UI shows only with a line's source. It can't
        be the event's time, because Airflow sorts a log by that: a late line would appear among those already read.
        """
        logger.info("[%s] %s", self.host, self.message, chan=self.moment)


def host_of(stream_name: str) -> str:
    """Return `algo-1` for the stream `<job>/algo-1-1700000000`."""
    name = stream_name.rpartition("/")[2]
    match = _HOST.match(name)
    return match.group(1) if match else name


def readable_events(events: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Return the events of a response, if each can be read.

    Raises:
        ValueError: An event has no text, or an impossible time.
    """
    for event in events:
        if event.get("message") is None or not 0 <= event.get("timestamp", -1) <= _LATEST_MS:
            raise ValueError("an event has no message, or no timestamp that is a time")
    return events


def event_lines(host: str, event: Mapping[str, Any]) -> list[LogLine]:
    """Return the lines of an event of GetLogEvents or FilterLogEvents; an agent may put several into one event."""
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc)
    message = event["message"].rstrip("\r\n")
    if "\n" not in message and "\r" not in message:
        return [LogLine(host, moment, printable(message))]
    return [LogLine(host, moment, printable(text)) for text in _LINE_END.split(message)]


EVERY_HOST = "every host"
"""The key, among the hosts of the last lines, for the reason why these can't be read."""
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\s*$")
_ERROR = re.compile(  # as Python and Java begin the line that names an error: `ValueError: …`, `java.io.IOException: …`
    r"(?:Exception in thread .*? |Caused by: )?(?:[A-Za-z_$][\w$]*\.)*[A-Z_][\w$]*"
    r"(?:Error|Exception|Exit|Fault|Interrupt|Iteration)(?::\s|:?$)"
)
_COMPLAINT = re.compile(
    r"\b(?:error|fatal|critical|exception|panic|failed|failure|abort|aborted|killed|denied|cannot|can't|could not"
    r"|couldn't|unable to|not found|no such|out of memory|segmentation fault|core dumped)\b",
    re.IGNORECASE,
)
_TELLING_CHARACTERS = 500
_LOCAL_REMARK = "[local] "  # begins the local SageMaker's own remarks


def telling_line(tails: Mapping[str, Sequence[str]]) -> str | None:
    """Return the line in the hosts' last log lines that best says why a job failed; None if there are no lines.

    It is the last line of a traceback; if there is none, the last line that looks like an error; else the last line.
    If several hosts have lines, the line names its host; of equally good lines, the first host's is used.
    """
    written = {host: lines for host, lines in tails.items() if host != EVERY_HOST and any(map(_is_text, lines))}
    if not written:
        return None
    _, line, host = min(((*_most_telling(lines), host) for host, lines in written.items()), key=itemgetter(0))
    text = line if len(tails) == 1 else f"{host}: {line}"
    return text if len(text) <= _TELLING_CHARACTERS else f"{text[: _TELLING_CHARACTERS - 1]}…"


def _is_text(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(_LOCAL_REMARK)


def _most_telling(lines: Sequence[str]) -> tuple[int, str]:
    """Return the rank of a host's most telling line, where lower is better, and the line."""
    texts = [line.rstrip() for line in lines if _is_text(line)]
    headers = [number for number, text in enumerate(texts) if _TRACEBACK.search(text)]
    after = texts[headers[-1] + 1 :] if headers else []
    kinds = (
        (text for text in after if not text[0].isspace()),
        (text for text in reversed(texts) if _ERROR.match(text)),
        (text for text in reversed(texts) if _COMPLAINT.search(text)),
        reversed(texts),
    )
    return next((number, text.strip()) for number, kind in enumerate(kinds) for text in kind)
