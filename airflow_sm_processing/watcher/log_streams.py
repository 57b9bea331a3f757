"""Follow jobs' log streams: keep the position in each, choose which of them share a call, and emit lines in order."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobNotFoundError,
    MalformedResponseError,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing.aws_calls import answer_read, new_token
from airflow_sm_processing.processing.log_events import (
    LogPosition,
    ReplayedLines,
    SeenLines,
    StreamPosition,
    event_lines,
    host_of,
    readable_events,
)
from airflow_sm_processing.processing.models import LOG_GROUP
from airflow_sm_processing.watcher.client import now
from airflow_sm_processing.watcher.queries import server_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from airflow_sm_processing.processing.log_events import LogLine

    LineSink = Callable[[Sequence[LogLine]], None]
    """Receives a few lines at a time, in the event loop and in the context in which `follow` was called."""

    LogCall = Callable[[str, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    """Calls CloudWatch Logs once: the client's method, the subject for errors, and the request."""

__all__ = ["PAGE_WEIGHT", "Batch", "BatchReader", "Followed", "FollowedStream", "batches_of", "weight"]


log = logging.getLogger(__name__)


LATE_MS = 2500
"""How late, in milliseconds, a line may arrive after later lines of its stream, and still be read soon."""
_RATE_WEIGHT = 0.5  # of the last reading, relative to earlier ones


@dataclass(eq=False)
class FollowedStream:
    """One stream of one followed job; times of lines are CloudWatch's, in milliseconds since the epoch."""

    name: str
    job: Followed
    memory: SeenLines | ReplayedLines
    host: str
    reached: int | None
    """The time that the last reading reached; None if it reached the end."""
    is_new: bool = True
    """Whether it hasn't been read yet."""
    read_at: float = float("-inf")
    """When the last reading that reached the end began, by the event loop's clock."""
    rate: float = 0.0
    """The approximate rate of new lines per second; a line counts once for each 100 characters begun."""
    is_replaying: bool = False
    """Whether spans are being read that were emitted before."""
    _unrated: float = 0.0

    @classmethod
    def starting_at(cls, start: StreamPosition, *, name: str, job: Followed) -> FollowedStream:
        """Return a stream that has been read up to `start`."""
        return cls(name, job, SeenLines(start), host_of(name), start.since)

    @classmethod
    def replaying(
        cls,
        start: StreamPosition,
        spans: Sequence[tuple[StreamPosition, StreamPosition]],
        *,
        name: str,
        job: Followed,
    ) -> FollowedStream:
        """Return a stream that has been read up to `start`, and emits these spans again."""
        memory = ReplayedLines(start, spans)
        return cls(name, job, memory, host_of(name), memory.since, is_replaying=True)

    @property
    def caught_up(self) -> bool:
        """Whether the last reading reached the stream's end."""
        return self.reached is None

    @property
    def backlog(self) -> int:
        """A key that must be equal for streams in one batch, so that a backlog isn't read again for a new stream."""
        if self.reached is None:
            return 0
        return -1 if self.is_new else -self.reached

    @property
    def must_read_from(self) -> int:
        """The latest time from which a reading may begin."""
        return max(self.memory.since, self.memory.newest - LATE_MS) if self.reached is None else self.reached

    @property
    def may_read_from(self) -> int:
        """The earliest time from which a reading can find new lines."""
        return self.memory.since if self.reached is None else self.reached

    def fell_behind(self, reached: int) -> None:
        """Record that a reading only reached that time."""
        self.reached = reached
        self.is_new = False

    def left_the_newest(self) -> None:
        """Record that only the newest lines weren't read; the next reading begins before them, as after the end."""
        self.reached = None
        self.is_new = False
        self._has_replayed()

    def count(self, weight: float) -> None:
        """Add to the weight of the lines that were read for the first time."""
        self._unrated += weight

    def reached_the_end(self, began: float) -> None:
        """Note that a reading that began at that time has come to the end."""
        if self.caught_up:
            rate = self._unrated / max(began - self.read_at, 1.0)
            self.rate += _RATE_WEIGHT * (rate - self.rate)
        self._unrated = 0.0
        self.reached = None
        self.is_new = False
        self._has_replayed()
        self.read_at = began

    def _has_replayed(self) -> None:
        """Record that the spans were emitted again, unless the job went off during the reading and got no lines."""
        self.is_replaying = self.is_replaying and self.job.is_off


PAGE_WEIGHT = 10_000
"""The capacity of a page, 10,000 events or 1 MB; so an event's weight is one for each 100 characters begun."""
_REREAD_WEIGHT = 2000
"""How much a batch may read again needlessly: a fifth of a page, which costs a fraction of a call."""
_LOWEST_RATE = 0.01


def weight(message: str) -> float:
    """Return an event's weight, its share of `PAGE_WEIGHT`."""
    return 1 + len(message) // 100


@dataclass(frozen=True)
class Batch:
    """Streams that are read together."""

    streams: Sequence[FollowedStream]

    @property
    def names(self) -> list[str]:
        """The streams' names, without repetitions, as a job may be followed twice."""
        return list(dict.fromkeys(stream.name for stream in self.streams))

    @property
    def start(self) -> int:
        """The time to read from: as early as possible at almost no extra cost, to find late lines."""
        must = min(stream.must_read_from for stream in self.streams)
        may = min(stream.may_read_from for stream in self.streams)
        rate = sum(stream.rate for stream in self.streams)
        return max(may, must - int(1000 * _REREAD_WEIGHT / max(rate, _LOWEST_RATE)))

    def __str__(self) -> str:
        first, others = self.streams[0].name, len(self.streams) - 1
        return f"{first} and {others} more" if others else first

    def reached_the_end(self, began: float) -> None:
        """Note that a reading that began at that time has come to the end."""
        for stream in self.streams:
            stream.reached_the_end(began)

    def left_the_newest(self) -> None:
        """Record that only the newest lines were left for the next reading."""
        for stream in self.streams:
            stream.left_the_newest()

    def fell_behind(self, reached: int) -> None:
        """Record that a reading reached that time, but not the streams' end."""
        for stream in self.streams:
            stream.fell_behind(reached)

    def halves(self) -> tuple[Batch, Batch]:
        """Return the batch split in two."""
        middle = len(self.streams) // 2
        return Batch(self.streams[:middle]), Batch(self.streams[middle:])


def batches_of(streams: Iterable[FollowedStream], *, most: int) -> list[Batch]:
    """Return batches of at most `most` streams; busy ones aren't with streams that are read from much earlier."""
    batches: list[Batch] = []
    batch: list[FollowedStream] = []
    rate = reread = 0.0
    for stream in sorted(streams, key=lambda stream: (stream.backlog, stream.must_read_from), reverse=True):
        if batch:
            reread += rate * (batch[-1].must_read_from - stream.must_read_from) / 1000
            if len(batch) == most or reread > _REREAD_WEIGHT or stream.backlog != batch[-1].backlog:
                batches.append(Batch(batch))
                batch, rate, reread = [], 0.0, 0.0
        batch.append(stream)
        rate += stream.rate
    return [*batches, Batch(batch)] if batch else batches


_SLICE = 50  # events that are emitted before other asyncio tasks may run
_CLOCK_SKEW_MS = 300_000
_NEVER = float("inf")


@dataclass(frozen=True)
class _Settling:
    since: float
    seconds: float


class Followed:
    """A followed job's log, as returned by `LogFeed.follow`.

    Attributes:
        has_news: Whether lines were emitted since the last `position()`.
        is_off: Whether no more lines will be emitted: it was closed, or can't be read, which the job's log then says.
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
        """Whether all streams have been found."""
        self.looked_at = float("-inf")
        """When its streams were last looked for, by the event loop's clock."""
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
        """Return how far the log was emitted."""
        self.has_news = False
        read = {name: stream.memory.position() for name, stream in self.streams.items()}
        return LogPosition({**self._gone, **read}).bounded()

    async def settle(self, seconds: float) -> bool:
        """Read until nothing has arrived for that long; return False if the log can't be read to its end.

        Streams that weren't found yet are looked for too. Transient errors are retried without limit, so the caller
        has to limit the time.
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
        """Whether lines that were emitted before still have to be emitted again."""
        return any(stream.is_replaying for stream in self.streams.values())

    def close(self) -> None:
        """Emit no more lines; the position doesn't change any more."""
        if not self.is_off:
            self.is_off = True
            self._progress.set()
            self._on_change(self)

    @property
    def read_due(self) -> float:
        """When a settling log has to be read next, by the event loop's clock; infinity if it doesn't."""
        return self._next_after(min((stream.read_at for stream in self.streams.values()), default=_NEVER))

    @property
    def look_due(self) -> float:
        """When the streams of a settling log have to be looked for next; infinity if they don't."""
        return _NEVER if self.has_all_hosts else self._next_after(self.looked_at)

    def _next_after(self, last: float) -> float:
        if self._settling is None:
            return _NEVER
        if last < self._settling.since:
            return self._settling.since
        settled = max(self._settling.since, self._news_at) + self._settling.seconds
        return settled if last < settled else _NEVER

    def found(self, names: Iterable[str]) -> None:
        """Add streams that were found."""
        for name in names:
            if name not in self.streams:
                start = StreamPosition(since=self._start, until=self._start)
                self._add_stream(name, self._gone.pop(name, start))

    def drop(self, stream: FollowedStream) -> None:
        """Drop a stream that was deleted; its position is kept, so that its lines aren't shown again."""
        if self.streams.pop(stream.name, None) is not None:
            self._gone[stream.name] = stream.memory.position()

    def check(self) -> None:
        """Update whether `settle` is done."""
        self._progress.set()

    @property
    def is_settling(self) -> bool:
        """Whether a caller is waiting for the log's end."""
        return self._settling is not None

    def fail(self, reason: object) -> None:
        """Stop following the log, and write the reason to the job's own log."""
        if not self.is_off:
            self._context.run(
                log.warning, "The live log of %s is off; its lines come at the end. %s", self.job_name, reason
            )
            self.close()

    async def hand_out(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Emit the new ones of these events, a few at a time."""
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


_COMPLETE_AFTER_MS = 2000
"""A reading doesn't follow a token to times more recent than this, since the token skips lines that arrive late."""
_PAGES = 5  # of a batch with a long backlog, before other batches are read


class BatchReader:
    """Reads batches to their end, and emits new lines."""

    def __init__(self, call: LogCall) -> None:
        self._call = call
        self.calls = 0
        """The number of calls made."""

    async def read(self, batch: Batch) -> None:
        """Read a batch to its end; with a long backlog, read only a part, and mark its streams as not caught up.

        Raises:
            TransientError: A page couldn't be read. Reading again neither loses nor repeats lines.
        """
        alive = Batch([stream for stream in batch.streams if not stream.job.is_off])
        if not alive.streams:
            return
        try:
            await self._read_pages(alive)
        except MalformedResponseError:
            await self._read_halves(alive)
        except TransientError:
            raise
        except AccessDeniedError as error:
            for stream in alive.streams:
                stream.job.fail(error)
        except ServiceError as error:
            await self._isolate(alive, error)

    async def _read_pages(self, batch: Batch) -> None:
        began = now()
        start = reached = batch.start
        for stream in batch.streams:
            stream.memory.begin()
            await asyncio.sleep(0)  # forgetting old lines takes long with a hundred busy streams
        request: dict[str, Any] = {
            "logGroupName": LOG_GROUP,
            "logStreamNames": batch.names,
            "startTime": start,
        }
        pages, seen = 0, set[str]()
        # A page may be empty, or contain only one moment: stopping before a later moment would repeat it for ever.
        while pages < _PAGES or reached <= start:
            page = await self._page(batch, request)
            if page is None:
                break
            pages += 1
            with answer_read("FilterLogEvents", str(batch)):
                token = new_token(page.get("nextToken"), seen)
            await self._hand_out(batch, page["events"])
            reached = page["events"][-1]["timestamp"] if page["events"] else reached
            if token is None:
                batch.reached_the_end(began)
                return
            if reached > start and _is_still_being_written(reached, page):
                batch.left_the_newest()
                return
            request["nextToken"] = token
        batch.fell_behind(reached)

    async def _page(self, batch: Batch, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the next page; None if the token is no longer valid, so that reading has to start again."""
        self.calls += 1
        try:
            page = await self._call("filter_log_events", str(batch), request)
        except ServiceError as error:
            if "nextToken" in request and error.code == "InvalidParameterException":
                return None
            raise
        with answer_read("FilterLogEvents", str(batch)):
            _check(page)
        return page

    async def _hand_out(self, batch: Batch, events: Sequence[Mapping[str, Any]]) -> None:
        by_job: dict[Followed, list[Mapping[str, Any]]] = {stream.job: [] for stream in batch.streams}
        takers: dict[str, list[list[Mapping[str, Any]]]] = {}
        for stream in batch.streams:
            takers.setdefault(stream.name, []).append(by_job[stream.job])
        for event in events:
            for taken in takers.get(event["logStreamName"], ()):
                taken.append(event)
        for job, its_events in by_job.items():
            await job.hand_out(its_events)

    async def _read_halves(self, batch: Batch) -> None:
        """Read the halves of a batch whose response can't be read, which may be due to a single stream.

        Raises:
            MalformedResponseError: One half couldn't be read either.
        """
        if len(batch.streams) == 1:
            await self._read_pages(batch)
            return
        failure: MalformedResponseError | None = None
        for half in batch.halves():
            try:
                await self.read(half)
            except MalformedResponseError as error:
                failure = error
        if failure is not None:
            raise failure

    async def _isolate(self, batch: Batch, error: ServiceError) -> None:
        """Find the stream for which a call fails, so that the others can be read."""
        if len(batch.streams) > 1:
            for half in batch.halves():
                await self.read(half)
        elif isinstance(error, JobNotFoundError):
            batch.streams[0].job.drop(batch.streams[0])
        else:
            batch.streams[0].job.fail(error)


def _check(page: Mapping[str, Any]) -> None:
    """Raise ValueError if a page's events can't be read."""
    if not isinstance(page, dict) or not isinstance(page.get("events"), list):
        raise ValueError("it has no list of events")  # noqa: TRY004  # handled like the other errors
    if not isinstance(page.get("nextToken"), (str, type(None))):
        raise ValueError("its nextToken is no text")  # noqa: TRY004  # the same
    for event in readable_events(page["events"]):
        if not isinstance(event["message"], str) or not isinstance(event.get("logStreamName"), str):
            raise ValueError("an event has no text, or no stream")  # noqa: TRY004  # the same


def _is_still_being_written(reached: int, page: Mapping[str, Any]) -> bool:
    answered_at = server_time(page)
    return answered_at is not None and reached > answered_at * 1000 - _COMPLETE_AFTER_MS
