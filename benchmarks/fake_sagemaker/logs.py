"""CloudWatch Logs: DescribeLogStreams, FilterLogEvents and GetLogEvents."""

from __future__ import annotations

import heapq
import json
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.fake_sagemaker.errors import ServiceError
from benchmarks.fake_sagemaker.streams import EVENT_OVERHEAD, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from benchmarks.fake_sagemaker.streams import Streams

GROUP = "/aws/sagemaker/ProcessingJobs"
PAGE_EVENTS, PAGE_BYTES = 10_000, 1024**2
STREAMS_PAGE, STREAM_NAMES = 50, 100

Row = tuple[int, str, int]
"""A line's time, stream and number: its place among all lines."""


class Logs:
    """The account's one log group."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def describe_streams(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Return a page of streams, by name or by their last line's time."""
        found = list(self._existing(request, now))
        if request.get("orderBy") == "LastEventTime":
            found.sort(key=lambda stream: stream.time(stream.visible(now) - 1))
        if request.get("descending"):
            found.reverse()
        skipped = int(request.get("nextToken", 0))
        last = skipped + request.get("limit", STREAMS_PAGE)
        page: dict[str, Any] = {"logStreams": [_described(stream, now) for stream in found[skipped:last]]}
        if len(found) > last:
            page["nextToken"] = str(last)
        return page

    def filter_events(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Return a page of the lines of many streams, interleaved by time."""
        streams = {stream.name: stream for stream in self._chosen(request, now)}
        backwards, place = _read_token(request)
        rows = _rows(streams.values(), request, now, place, backwards=backwards)
        size = min(request.get("limit", PAGE_EVENTS), PAGE_EVENTS)
        events = _page([streams[name].event(number) for _, name, number in rows[:size]])
        page: dict[str, Any] = {"events": events, "searchedLogStreams": []}
        if len(rows) > len(events):
            page["nextToken"] = json.dumps([backwards, rows[len(events) - 1]])
        return page

    def get_events(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Return a page of one stream's lines; at its end, the token repeats."""
        stream = self._named(request["logStreamName"], now)
        low = stream.lines_until(request.get("startTime", 0) - 1)
        high = min(stream.visible(now), stream.lines_until(request.get("endTime", int(now * 1000)) - 1))
        size = min(request.get("limit", PAGE_EVENTS), PAGE_EVENTS)
        kind, _, place = request.get("nextToken", "").partition("/")
        if kind == "f" or (not kind and request.get("startFromHead")):
            first = int(place or low)
            events = _page([stream.event(number) for number in range(first, min(high, first + size))])
            last = first + len(events)
        else:
            last = int(place or high)
            events = _page([stream.event(number) for number in reversed(range(max(low, last - size), last))])[::-1]
            first = last - len(events)
        kept = [{name: event[name] for name in ("timestamp", "message", "ingestionTime")} for event in events]
        return {"events": kept, "nextForwardToken": f"f/{last}", "nextBackwardToken": f"b/{first}"}

    def _chosen(self, request: Mapping[str, Any], now: float) -> Iterable[Stream]:
        names = request.get("logStreamNames")
        if not names:
            return self._existing(request, now)
        if "logStreamNamePrefix" in request:
            raise ServiceError("InvalidParameterException", "logStreamNames excludes logStreamNamePrefix.")
        if len(names) > STREAM_NAMES:
            raise ServiceError("InvalidParameterException", f"logStreamNames has {len(names)} names.")
        return [self._named(name, now) for name in names]

    def _existing(self, request: Mapping[str, Any], now: float) -> Iterator[Stream]:
        if request.get("logGroupName") != GROUP:
            raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
        return self._streams.existing(now, request.get("logStreamNamePrefix", ""))

    def _named(self, name: str, now: float) -> Stream:
        for stream in self._streams.existing(now, name):
            if stream.name == name:
                return stream
        raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def _described(stream: Stream, now: float) -> dict[str, Any]:
    last = stream.time(stream.visible(now) - 1)
    return {
        "logStreamName": stream.name,
        "creationTime": stream.first,
        "firstEventTimestamp": stream.first,
        "lastEventTimestamp": last,
        "lastIngestionTime": last + stream.lag,
        "arn": f"arn:aws:logs:eu-west-1:123456789012:log-group:{GROUP}:log-stream:{stream.name}",
    }


def _read_token(request: Mapping[str, Any]) -> tuple[bool, Row | None]:
    if "nextToken" not in request:
        return not request.get("startFromHead", True), None
    backwards, place = json.loads(request["nextToken"])
    return backwards, tuple(place)


def _rows(
    streams: Iterable[Stream], request: Mapping[str, Any], now: float, place: Row | None, *, backwards: bool
) -> list[Row]:
    """Return the places of a page's lines and of at least one more, if there are more."""
    start, end = request.get("startTime", 0), request.get("endTime", int(now * 1000))
    if place:
        start, end = (start, min(end, place[0])) if backwards else (max(start, place[0]), end)
    runs = [_run(stream, start, end, now, backwards=backwards) for stream in streams]
    merged = heapq.merge(*runs, reverse=backwards)
    rest = (row for row in merged if place is None or (row < place if backwards else row > place))
    return list(islice(rest, PAGE_EVENTS + 1))


def _run(stream: Stream, start: int, end: int, now: float, *, backwards: bool) -> Iterator[Row]:
    numbers = range(stream.lines_until(start - 1), min(stream.visible(now), stream.lines_until(end)))
    name = stream.name
    return ((stream.time(number), name, number) for number in (reversed(numbers) if backwards else numbers))


def _page(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return as many of the events as fit into a page's bytes."""
    ends, size = [], 0
    for event in events:
        size += len(event["message"]) + EVENT_OVERHEAD
        ends.append(size)
    return events[: bisect_left(ends, PAGE_BYTES + 1)]
