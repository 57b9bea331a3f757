"""A job's lines in CloudWatch Logs: each once, in order per host."""

from __future__ import annotations

import logging
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ServiceError
from airflow_sm_processing.processing.aws_errors import aws_call
from airflow_sm_processing.processing.console import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_logs import CloudWatchLogsClient

__all__ = ["JobLogs", "LogLine"]

log = logging.getLogger(__name__)

TAIL_LINES = 20
"""Lines of each host that an error carries."""
_NO_GROUP_OR_STREAM = "ResourceNotFoundException"
# Lines are the script's to choose: what could move a terminal's cursor or fake another line is shown, not obeyed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


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
        for stream in sorted(self._streams.values(), key=lambda stream: stream.name):
            yield from self._read(stream)

    def tails(self) -> dict[str, tuple[str, ...]]:
        """Give the last lines that `new_lines` yielded, by host."""
        tails: dict[str, tuple[str, ...]] = {}
        for stream in sorted(self._streams.values(), key=lambda stream: stream.name):
            tails[stream.host] = (*tails.get(stream.host, ()), *stream.tail)[-TAIL_LINES:]
        return {host: lines for host, lines in tails.items() if lines}

    def last_tails(self) -> dict[str, tuple[str, ...]]:
        """Give the last lines of each host without reading what stands before them."""
        self._find_streams()
        for stream in self._streams.values():
            if not stream.tail:
                self._read_tail(stream)
        return self.tails()

    def _find_streams(self) -> None:
        request: dict[str, Any] = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": f"{self._job_name}/"}
        while True:
            try:
                with aws_call("DescribeLogStreams", self._job_name):
                    page = self._client.describe_log_streams(**request)
            except ServiceError as error:
                if error.code == _NO_GROUP_OR_STREAM:
                    return  # the group appears with the account's first job, a stream with its host's first line
                raise
            for name in (stream["logStreamName"] for stream in page["logStreams"]):
                self._streams.setdefault(name, _Stream(name, _host(name)))
            if "nextToken" not in page:
                return
            request["nextToken"] = page["nextToken"]

    def _read(self, stream: _Stream) -> Iterator[LogLine]:
        while True:
            start = {"startFromHead": True} if stream.token is None else {"nextToken": stream.token}
            page = self._get_events(stream, **start)
            # The position moves with the page, before its lines are handed out: a line is never handed out twice.
            ended = page["nextForwardToken"] == stream.token
            stream.token = page["nextForwardToken"]
            for event in page["events"]:
                yield from _lines(stream, event)
            if ended:
                return

    def _read_tail(self, stream: _Stream) -> None:
        page = self._get_events(stream, startFromHead=False, limit=TAIL_LINES)
        while not page["events"]:
            token = page["nextBackwardToken"]
            page = self._get_events(stream, startFromHead=False, limit=TAIL_LINES, nextToken=token)
            if page["nextBackwardToken"] == token:
                break
        for event in page["events"]:
            for _ in _lines(stream, event):
                pass

    def _get_events(self, stream: _Stream, **position: Any) -> Any:
        with aws_call("GetLogEvents", stream.name):
            return self._client.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream.name, **position)


def _host(stream_name: str) -> str:
    """Give `algo-1` for the stream `<job>/algo-1-1700000000`."""
    name = stream_name.rpartition("/")[2]
    match = re.match(r"(algo-\d+)(?:-|$)", name)
    return match.group(1) if match else name


def _lines(stream: _Stream, event: Any) -> Iterator[LogLine]:
    """Yield an event's lines (an agent may put several into one event) and remember them for the tail."""
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc)
    for text in re.split(r"\r\n|\r|\n", event["message"].rstrip("\r\n")):
        message = _CONTROL.sub(_visible, text)
        stream.tail.append(message)
        yield LogLine(stream.host, moment, message)


def _visible(match: re.Match[str]) -> str:
    return match.group(0).encode("unicode_escape").decode("ascii")
