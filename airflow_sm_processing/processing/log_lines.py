"""A line of a job's log, and how CloudWatch's streams and events become hosts and lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LogLine", "event_lines", "host_of", "readable_events"]

_HOST = re.compile(r"(algo-\d+)(?:-|$)")
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class LogLine:
    """One line that a host of the job wrote."""

    host: str
    """The container's host, such as `algo-1`."""
    timestamp: datetime
    """CloudWatch's own time of the event, UTC."""
    message: str

    def __str__(self) -> str:
        moment = self.timestamp.replace(tzinfo=None).isoformat(timespec="milliseconds")  # a third of strftime's time
        return f"[{self.host}] {moment}Z {self.message}"


def host_of(stream_name: str) -> str:
    """Give `algo-1` for the stream `<job>/algo-1-1700000000`."""
    name = stream_name.rpartition("/")[2]
    match = _HOST.match(name)
    return match.group(1) if match else name


def readable_events(events: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Return the events of an answer, if lines can be made of each.

    Raises:
        ValueError: One has no text, or no time that there can be.
    """
    for event in events:
        if event.get("message") is None or not 0 <= event.get("timestamp", -1) <= _LATEST_MS:
            raise ValueError("an event has no message, or no timestamp that is a time")
    return events


def event_lines(host: str, event: Mapping[str, Any]) -> list[LogLine]:
    """Give the lines of an event of GetLogEvents or FilterLogEvents: an agent may put several into one."""
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc)
    message = event["message"].rstrip("\r\n")
    if "\n" not in message and "\r" not in message:
        return [LogLine(host, moment, printable(message))]
    return [LogLine(host, moment, printable(text)) for text in _LINE_END.split(message)]
