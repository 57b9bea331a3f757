"""Wait for a job's end in the calling thread, and read its log from CloudWatch."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError, TransientError, WaitTimeoutError
from airflow_sm_processing.processing.aws_calls import RetryBudget, answer_read, aws_call, jittered, readable
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.log_events import (
    LogLine,
    LogPosition,
    SeenLines,
    StreamPosition,
    event_lines,
    host_of,
    readable_events,
)
from airflow_sm_processing.processing.models import LOG_GROUP
from airflow_sm_processing.processing.values import DEFAULT_MAX_TRANSIENT_SECONDS, DEFAULT_POLL_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_logs import CloudWatchLogsClient

    from airflow_sm_processing.processing.description import JobDescription

__all__ = ["ChangeSink", "JobLogs", "LineSink", "LogLine", "WaitSettings", "Waiter"]


log = logging.getLogger(__name__)


TAIL_LINES = 20
"""The number of lines of each host in an error."""
_MOST_PAGES = 1000
"""The maximum number of pages read from a stream at a time, so that the wait for the job's end goes on."""
TAIL_LINE_CHARACTERS = 1000
"""The maximum length of a line in an error; CloudWatch allows 1 MB."""


@dataclass
class _Stream:
    """How far one log stream has been read."""

    name: str
    host: str
    memory: SeenLines
    start: int
    """The time from which it is read, in milliseconds since the epoch."""
    from_head: bool
    """Whether it was read from its first line on."""
    token: str | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class JobLogs:
    """The log lines of one processing job.

    `new_lines` continues where the last call ended. Every page of every stream is read, also after empty pages, and for
    any number of streams: DescribeLogStreams returns 50 at a time. A GetLogEvents page, of at most 1 MB or 10,000
    events, may be empty although there are more; a stream's end is where the token repeats.
    """

    def __init__(self, client: CloudWatchLogsClient, job_name: str, *, position: LogPosition | None = None) -> None:
        """Start at `position`, where another reader ended; without one, at the log's beginning."""
        self._client = client
        self._job_name = job_name
        self._streams: dict[str, _Stream] = {}
        for name, start in (position or LogPosition()).streams.items():
            self._add_stream(name, start, from_head=False)

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the lines that have arrived since the last call, host by host.

        Raises:
            ServiceError: CloudWatch can't be read; what was yielded so far isn't yielded again.
        """
        self._find_streams()
        for stream in self._in_order():
            yield from self._read(stream)

    def look_back(self) -> None:
        """Make the next `new_lines` read the end of each stream again, for lines that arrive out of order."""
        for stream in self._streams.values():
            stream.memory.begin()
            stream.start, stream.token = stream.memory.since, None

    def position(self) -> LogPosition:
        """Return how far `new_lines` has read."""
        return LogPosition({stream.name: stream.memory.position() for stream in self._in_order()}).bounded()

    def tails(self) -> dict[str, tuple[str, ...]]:
        """Return the last lines that were yielded, by host."""
        return _by_host((stream, stream.tail) for stream in self._in_order())

    def last_tails(self) -> dict[str, tuple[str, ...]]:
        """Return the last lines of each host; for a stream that was read from its start, without further calls.

        Raises:
            ServiceError: CloudWatch can't be read.
        """
        self._find_streams()
        return _by_host((stream, self._tail(stream)) for stream in self._in_order())

    def last_lines(self) -> list[LogLine]:
        """Return the last lines of each host, host by host, without reading the lines before them.

        Raises:
            ServiceError: CloudWatch can't be read.
        """
        self._find_streams()
        lines: dict[str, list[LogLine]] = {}
        for stream in self._in_order():
            last = self._last_lines(stream)
            stream.tail = _tail(last)
            lines[stream.host] = [*lines.get(stream.host, ()), *last][-TAIL_LINES:]
        return [line for of_host in lines.values() for line in of_host]

    def _in_order(self) -> list[_Stream]:
        return sorted(self._streams.values(), key=lambda stream: stream.name)

    def _find_streams(self) -> None:
        token: str | None = None
        seen = {token}
        while True:
            try:
                names, token = self._stream_names(token)
            except JobNotFoundError:
                return  # the group is created with the account's first job, a stream with its host's first line
            for name in names:
                self._add_stream(name, StreamPosition(since=0, until=0), from_head=True)
            if token in seen or len(seen) >= _MOST_PAGES:  # a repeated token would cause an endless loop
                return
            seen.add(token)

    def _stream_names(self, token: str | None) -> tuple[list[str], str | None]:
        prefix = f"{self._job_name}/"
        request: dict[str, Any] = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": prefix}
        if token is not None:
            request["nextToken"] = token
        with aws_call("DescribeLogStreams", self._job_name):
            page = self._client.describe_log_streams(**request)
        with answer_read("DescribeLogStreams", self._job_name):
            readable(self._client, "DescribeLogStreams", page, "logStreams")
            names = [stream["logStreamName"] for stream in page["logStreams"]]
            if not all(name.startswith(prefix) for name in names):
                raise ValueError(f"it has streams that don't begin with {prefix}")
            return names, page.get("nextToken") or None

    def _add_stream(self, name: str, start: StreamPosition, *, from_head: bool) -> None:
        if name not in self._streams:
            self._streams[name] = _Stream(name, host_of(name), SeenLines(start), start.since, from_head)

    def _read(self, stream: _Stream) -> Iterator[LogLine]:
        for _ in range(_MOST_PAGES):  # the next call continues from there
            page = self._get_events(stream, stream.token, from_head=True)
            # The position is moved before the page's lines are yielded, so that no line is yielded twice.
            ended = page["nextForwardToken"] == stream.token
            stream.token = page["nextForwardToken"]
            for event in filter(stream.memory.is_new, page["events"]):
                for line in event_lines(stream.host, event):
                    stream.tail.append(_shortened(line.message))
                    yield line
            if ended:
                return

    def _tail(self, stream: _Stream) -> Iterable[str]:
        is_known = len(stream.tail) == TAIL_LINES or (stream.tail and stream.from_head)
        return stream.tail if is_known else _tail(self._last_lines(stream))

    def _last_lines(self, stream: _Stream) -> list[LogLine]:
        """Read pages backwards until there are enough lines or the token repeats; any page may be short or empty."""
        lines: list[LogLine] = []
        token = None
        for _ in range(_MOST_PAGES):
            page = self._get_events(stream, token, from_head=False)
            lines[:0] = [line for event in page["events"] for line in event_lines(stream.host, event)]
            if len(lines) >= TAIL_LINES or page["nextBackwardToken"] == token:
                break
            token = page["nextBackwardToken"]
        return lines

    def _get_events(self, stream: _Stream, token: str | None, *, from_head: bool) -> Any:
        request: dict[str, Any] = {"startFromHead": from_head}  # the API requires True with a forward token too
        request |= {"startTime": stream.start} if from_head else {"limit": TAIL_LINES}
        if token is not None:
            request["nextToken"] = token
        try:
            with aws_call("GetLogEvents", stream.name):
                page = self._client.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream.name, **request)
            with answer_read("GetLogEvents", stream.name):
                next_token = "nextForwardToken" if from_head else "nextBackwardToken"
                readable_events(readable(self._client, "GetLogEvents", page, "events", next_token)["events"])
                return page
        except JobNotFoundError:  # the stream was deleted: still read the other hosts' streams
            return {"events": [], "nextForwardToken": token, "nextBackwardToken": token}


def _tail(lines: Iterable[LogLine]) -> deque[str]:
    return deque((_shortened(line.message) for line in lines), maxlen=TAIL_LINES)


def _shortened(message: str) -> str:
    if len(message) <= TAIL_LINE_CHARACTERS:
        return message
    return f"{message[:TAIL_LINE_CHARACTERS]}… ({len(message)} characters)"


def _by_host(streams: Iterable[tuple[_Stream, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    tails: dict[str, tuple[str, ...]] = {}
    for stream, lines in streams:
        tails[stream.host] = (*tails.get(stream.host, ()), *lines)[-TAIL_LINES:]
    return {host: lines for host, lines in tails.items() if lines}


LineSink = Callable[["LogLine"], None]
"""Receives each log line when it is read."""
ChangeSink = Callable[["JobDescription"], None]
"""Receives a job's description when it is first seen running or stopping; at its end, only if this process ends too."""

_SLICE_SECONDS = 0.5  # pauses are split, to react to signals soon: a signal's handler can't end a sleep
_PASSES_IN_TROUBLE = 10  # over the logs of an ended job; botocore has already retried each call several times


@dataclass(frozen=True, kw_only=True)
class WaitSettings:
    """How to wait for a job."""

    poll_interval: float = DEFAULT_POLL_INTERVAL
    """How often the job is polled, in seconds; varied by up to a tenth, so that many waiters don't call at once."""
    max_wait: float | None = None
    """How long to wait, in seconds; None waits as long as the job runs."""
    max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS
    """How long to retry throttling, 5xx errors and lost connections before the wait fails, in seconds."""
    log_settle_seconds: float = 2.0
    """After the job's end, lines are read until none has arrived for this number of seconds: CloudWatch lags a bit."""


class Waiter:
    """Waits for one job's end, and passes on its log lines meanwhile."""

    def __init__(
        self,
        job_name: str,
        *,
        describe: Callable[[], JobDescription],
        logs: JobLogs | None,
        sink: LineSink,
        settings: WaitSettings,
        tail_only: bool = False,
        on_change: ChangeSink | None = None,
        is_ending: Callable[[], bool] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job_name = job_name
        self._describe = describe
        self._logs = logs
        self._sink = sink
        self._settings = settings
        self._tail_only = tail_only
        self._on_change = on_change
        self._is_ending = is_ending
        self._told_at_the_end = False
        self._seen = (JobStatus.IN_PROGRESS, False)
        self._sleep = sleep
        self._clock = clock
        self._budget = RetryBudget(settings.max_transient_seconds, clock=clock)
        self._log_warning_given = False
        self._unknown_statuses: set[JobStatus] = set()

    def wait(self) -> JobDescription:
        """Wait, and return the job's description at its end, whatever its status is.

        Raises:
            WaitTimeoutError: `max_wait` is over; the job goes on.
            ServiceError: The job couldn't be described for longer than `max_transient_seconds`.
        """
        started = self._clock()
        while True:
            description = self._look()
            if not self._tail_only:
                self._hand_out_lines()
            if description is not None and description.status.is_terminal:
                self._settle()
                return description
            if description is not None:
                self._tell_change(description)
            self._pause(started)

    def _look(self) -> JobDescription | None:
        try:
            description = self._describe()
        except TransientError as error:
            self._budget.spend(error)
            return None
        self._budget.reset()
        return description

    def _tell_change(self, description: JobDescription) -> None:
        self._name_unknown(description.status)
        seen = (description.status, description.started_at is not None)
        if seen != self._seen and self._on_change is not None:
            self._on_change(description)
        self._seen = seen

    def _name_unknown(self, status: JobStatus) -> None:
        """Log once that a status isn't known; the wait goes on, as with every status that isn't terminal."""
        if not status.is_known and status not in self._unknown_statuses:
            self._unknown_statuses.add(status)
            log.warning(
                "Processing job %s is %s, a status that this version doesn't know: still waiting for its end.",
                self._job_name,
                status,
            )

    def _pause(self, started: float) -> None:
        pause = jittered(self._settings.poll_interval)
        if self._settings.max_wait is not None:
            left = started + self._settings.max_wait - self._clock()
            if left <= 0:
                raise WaitTimeoutError(self._job_name, waited_seconds=self._clock() - started)
            pause = min(pause, left)
        self._rest(pause)

    def _rest(self, seconds: float) -> None:
        """Sleep; if this process is about to be killed meanwhile, report the job's status while there is time."""
        if self._is_ending is None:
            self._sleep(seconds)
            return
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._sleep(min(left, _SLICE_SECONDS))
            if self._is_ending() and not self._told_at_the_end:
                self._tell_at_the_end()

    def _tell_at_the_end(self) -> None:
        try:
            description = self._describe()
        except ServiceError as error:
            log.info("Could not read the job's status: %s", error)
        else:
            self._told_at_the_end = description.status is not JobStatus.IN_PROGRESS  # it may not show the stop yet
            self._tell_change(description)

    def _settle(self) -> None:
        """Read the remaining lines, until a pass log_settle_seconds after the last line finds no more."""
        if self._logs is None:
            return
        passes_in_trouble = 0
        while passes_in_trouble < _PASSES_IN_TROUBLE:
            self._sleep(self._settings.log_settle_seconds)
            self._logs.look_back()
            count, trouble = self._hand_out_lines()
            if isinstance(trouble, TransientError):
                passes_in_trouble += 1
            elif trouble is not None or not count or self._tail_only:
                return
        log.warning("The job's last log lines couldn't be read in %d passes and may be missing.", _PASSES_IN_TROUBLE)

    def _hand_out_lines(self) -> tuple[int, ServiceError | None]:
        """Emit the new lines; an error in reading logs never fails the wait, since the job's end is what counts."""
        if self._logs is None:
            return 0, None
        count = 0
        try:
            for line in self._logs.last_lines() if self._tail_only else self._logs.new_lines():
                self._sink(line)
                count += 1
        except ServiceError as error:
            if not self._log_warning_given:
                log.warning("Can't read the job's log for now: %s", error)
            self._log_warning_given = True
            return count, error
        return count, None
