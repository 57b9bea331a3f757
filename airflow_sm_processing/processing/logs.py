"""A job's lines in CloudWatch Logs: each once, in order per host."""

from __future__ import annotations

import logging
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import JobNotFoundError
from airflow_sm_processing.printable import printable
from airflow_sm_processing.processing.aws_errors import aws_call
from airflow_sm_processing.processing.console import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_logs import CloudWatchLogsClient

__all__ = ["JobLogs", "LogLine"]

log = logging.getLogger(__name__)

TAIL_LINES = 20
"""Lines of each host that an error carries."""
TAIL_LINE_CHARACTERS = 1000
"""The most that an error carries of one line, which CloudWatch allows 1 MB."""


@dataclass(frozen=True)
class LogLine:
    """One line that a host of the job wrote."""

    host: str
    """The container's host, such as `algo-1`."""
    timestamp: datetime
    """CloudWatch's own time of the event, UTC."""
    message: str

    def __str__(self) -> str:
        return (
            f"[{self.host}] {self.timestamp:%Y-%m-%dT%H:%M:%S}.{self.timestamp.microsecond // 1000:03d}Z {self.message}"
        )


@dataclass
class _Stream:
    """How far one log stream has been read."""

    name: str
    host: str
    token: str | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class JobLogs:
    """The log lines of one processing job.

    `new_lines` continues where the last call ended. Every page of every stream is read, also behind empty pages, and
    however many streams there are: DescribeLogStreams gives 50 at a time, and a GetLogEvents page of at most 1 MB or
    10,000 events may be empty with more to come; a stream's end is where the token repeats.
    """

    def __init__(self, client: CloudWatchLogsClient, job_name: str) -> None:
        self._client = client
        self._job_name = job_name
        self._streams: dict[str, _Stream] = {}

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the lines that came since the last call, host by host.

        Raises:
            ServiceError: CloudWatch can't be read; what was yielded so far isn't yielded again.
        """
        self._find_streams()
        for stream in self._in_order():
            yield from self._read(stream)

    def tails(self) -> dict[str, tuple[str, ...]]:
        """Give the last lines that `new_lines` yielded, by host."""
        return _by_host((stream, stream.tail) for stream in self._in_order())

    def last_tails(self) -> dict[str, tuple[str, ...]]:
        """Give the last lines of each host; of a stream that `new_lines` hasn't read, only they are read.

        Raises:
            ServiceError: CloudWatch can't be read.
        """
        self._find_streams()
        return _by_host((stream, stream.tail or self._last_lines(stream)) for stream in self._in_order())

    def _in_order(self) -> list[_Stream]:
        return sorted(self._streams.values(), key=lambda stream: stream.name)

    def _find_streams(self) -> None:
        request: dict[str, Any] = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": f"{self._job_name}/"}
        while True:
            try:
                with aws_call("DescribeLogStreams", self._job_name):
                    page = self._client.describe_log_streams(**request)
            except JobNotFoundError:
                return  # the group appears with the account's first job, a stream with its host's first line
            for name in (stream["logStreamName"] for stream in page["logStreams"]):
                self._streams.setdefault(name, _Stream(name, _host(name)))
            if "nextToken" not in page:
                return
            request["nextToken"] = page["nextToken"]

    def _read(self, stream: _Stream) -> Iterator[LogLine]:
        while True:
            page = self._get_events(stream, stream.token, from_head=True)
            # The position moves with the page, before its lines are handed out: a line is never handed out twice.
            ended = page["nextForwardToken"] == stream.token
            stream.token = page["nextForwardToken"]
            for event in page["events"]:
                for line in _lines(stream.host, event):
                    stream.tail.append(_shortened(line.message))
                    yield line
            if ended:
                return

    def _last_lines(self, stream: _Stream) -> list[str]:
        """Read pages backwards until they have enough lines, or the token repeats: any page may be short or empty."""
        lines: list[str] = []
        token, ended = None, False
        while len(lines) < TAIL_LINES and not ended:
            page = self._get_events(stream, token, from_head=False)
            ended = page["nextBackwardToken"] == token
            token = page["nextBackwardToken"]
            lines[:0] = [_shortened(line.message) for event in page["events"] for line in _lines(stream.host, event)]
        return lines

    def _get_events(self, stream: _Stream, token: str | None, *, from_head: bool) -> Any:
        request: dict[str, Any] = {"startFromHead": from_head}  # must be True with a forward token too, says the API
        if token is not None:
            request["nextToken"] = token
        if not from_head:
            request["limit"] = TAIL_LINES
        try:
            with aws_call("GetLogEvents", stream.name):
                return self._client.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream.name, **request)
        except JobNotFoundError:  # the stream was deleted: it must not keep the other hosts' lines back
            return {"events": [], "nextForwardToken": token, "nextBackwardToken": token}


def _host(stream_name: str) -> str:
    """Give `algo-1` for the stream `<job>/algo-1-1700000000`."""
    name = stream_name.rpartition("/")[2]
    match = re.match(r"(algo-\d+)(?:-|$)", name)
    return match.group(1) if match else name


def _lines(host: str, event: Any) -> Iterator[LogLine]:
    """Yield an event's lines: an agent may put several into one event."""
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc)
    for text in re.split(r"\r\n|\r|\n", event["message"].rstrip("\r\n")):
        yield LogLine(host, moment, printable(text))


def _shortened(message: str) -> str:
    if len(message) <= TAIL_LINE_CHARACTERS:
        return message
    return f"{message[:TAIL_LINE_CHARACTERS]}… ({len(message)} characters)"


def _by_host(streams: Iterable[tuple[_Stream, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    tails: dict[str, tuple[str, ...]] = {}
    for stream, lines in streams:
        tails[stream.host] = (*tails.get(stream.host, ()), *lines)[-TAIL_LINES:]
    return {host: lines for host, lines in tails.items() if lines}
