"""A job's stdout and stderr, shipped to CloudWatch Logs while it runs."""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_processing.local.auth import ignoring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLUSH_SECONDS = 0.25
"""How long a line may wait, in seconds, for others to share a call with."""
MAX_EVENT_BYTES = 256 * 1024 - 26
"""A longer line is split into several events, as by AWS's agents and Docker's awslogs driver:
https://docs.docker.com/engine/logging/drivers/awslogs/"""
MAX_BATCH_BYTES = 1024 * 1024
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"""
EVENT_OVERHEAD = 26
"""The bytes that each event counts in addition to its text, according to the same page."""
_UTF8_CONTINUATION, _UTF8_LEAD = 0x80, 0xC0
_READ_BYTES = 1024 * 1024
_log = logging.getLogger(__name__)


class LineSplitter:
    """Splits bytes into lines; invalid UTF-8 is replaced, and long lines are cut between characters.

    CloudWatch refuses empty events, so empty lines are left out, as by Docker's awslogs driver.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Add bytes, and return the lines that this completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [piece for line in lines for piece in _pieces(line)]
        while len(self._rest) > MAX_EVENT_BYTES:
            piece, self._rest = _cut(self._rest)
            found.append(piece.decode("utf-8", "replace"))
        return found

    def close(self) -> list[str]:
        """Return the rest after the last line feed."""
        rest, self._rest = self._rest, b""
        return list(_pieces(rest))


def _pieces(line: bytes) -> Iterator[str]:
    line = line.removesuffix(b"\r")
    while line:
        piece, line = _cut(line)
        yield piece.decode("utf-8", "replace")


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """Split at the limit, or up to three bytes before it, so that no character is split."""
    end = MAX_EVENT_BYTES
    if len(line) <= end:
        return line, b""
    start = next((at for at in range(end, end - 4, -1) if not _UTF8_CONTINUATION <= line[at] < _UTF8_LEAD), end)
    return line[:start], line[start:]


class LogStream:
    """One log stream of one host."""

    def __init__(self, client: Any, group: str, name: str) -> None:
        self._client = client
        self._group = group
        self.name = name
        self._lock = threading.Lock()
        model = client.meta.service_model.shape_for("InputLogEvents")
        self._max_events: int = model.metadata["max"]
        self._create()

    def put(self, lines: list[str]) -> None:
        """Append lines, in as many calls as the service's limits require."""
        now = int(time.time() * 1000)
        batch: list[dict[str, Any]] = []
        size = 0
        with self._lock:
            for line in lines:
                length = len(line.encode()) + EVENT_OVERHEAD
                if batch and (size + length > MAX_BATCH_BYTES or len(batch) == self._max_events):
                    self._put(batch)
                    batch, size = [], 0
                batch.append({"timestamp": now, "message": line})
                size += length
            if batch:
                self._put(batch)

    def put_if_possible(self, lines: list[str]) -> None:
        """Append lines, ignoring errors: a job must not fail because of its log."""
        try:
            self.put(lines)
        except (BotoCoreError, ClientError):
            _log.exception("%d log lines of %s are lost", len(lines), self.name)

    def _put(self, events: list[dict[str, Any]]) -> None:
        names = {"logGroupName": self._group, "logStreamName": self.name}
        try:
            self._client.put_log_events(**names, logEvents=events)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            self._create()  # somebody deleted the group or stream while the job is running
            self._client.put_log_events(**names, logEvents=events)

    def _create(self) -> None:
        with ignoring("ResourceAlreadyExistsException"):
            self._client.create_log_group(logGroupName=self._group)
        with ignoring("ResourceAlreadyExistsException"):
            self._client.create_log_stream(logGroupName=self._group, logStreamName=self.name)


class LogPump(threading.Thread):
    """Reads a pipe to its end and ships its lines; the script never waits for longer than one call takes."""

    def __init__(self, output: int, stream: LogStream, note: Callable[[list[str]], None]) -> None:
        super().__init__(name=f"logs-{stream.name}", daemon=True)
        self._output = output
        self._stream = stream
        self._note = note
        self._ended = threading.Event()

    def run(self) -> None:
        """Ship until the pipe ends."""
        splitter = LineSplitter()
        lines: list[str] = []
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            due = time.monotonic()
            while (data := self._read(selector, due)) is not None:
                if not lines:
                    due = time.monotonic() + FLUSH_SECONDS
                lines += splitter.feed(data)
                if time.monotonic() >= due:
                    self._ship(lines)
                    lines = []
        self._ship(lines + splitter.close())

    def _ship(self, lines: list[str]) -> None:
        self._note(lines)
        self._stream.put_if_possible(lines)

    def finish(self) -> None:
        """Ship the remaining lines, after the command has ended."""
        self._ended.set()
        self.join()

    def _read(self, selector: selectors.BaseSelector, due: float) -> bytes | None:
        """Return the available bytes, empty if none came in time; None at the end."""
        wait = due - time.monotonic()
        # Asked first: what the command wrote before its end is found by a look after it, and by no look before it.
        has_ended = self._ended.is_set()
        if selector.select(wait if wait > 0 else FLUSH_SECONDS):
            return os.read(self._output, _READ_BYTES) or None
        # Without a PID namespace, a runaway process may keep the pipe open for ever.
        return None if has_ended else b""
