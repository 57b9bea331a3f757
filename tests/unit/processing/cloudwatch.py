"""A CloudWatch Logs client that pages as the API's reference says, which moto does only in part."""

from __future__ import annotations

from bisect import insort
from itertools import count, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

GROUP = "/aws/sagemaker/ProcessingJobs"
STREAMS_PER_PAGE = 50
STREAMS_PER_FILTER = 100
MOST_EVENTS, MOST_BYTES = 10_000, 1024 * 1024


class Event(NamedTuple):
    """An event; its order is CloudWatch's: by time, then by arrival."""

    timestamp: int
    number: int
    stream: str
    message: str
    arrives: float

    @property
    def place(self) -> tuple[int, int]:
        return self.timestamp, self.number

    @property
    def as_answered(self) -> dict[str, Any]:
        ingested = max(self.timestamp, int(self.arrives * 1000))
        return {"timestamp": self.timestamp, "message": self.message, "ingestionTime": ingested}


class CloudWatchLogs:
    """Holds events; any page may be short, and with `sparse` each page with events comes after an empty one.

    Args:
        page_size: The maximum number of events on a page.
        sparse: Whether empty pages come before pages with events.
        failing_calls: The numbers of the calls, from 0, that are throttled.
        errors: The errors of other calls, such as `AccessDeniedException`, by the call's number.
        now: Returns the time in seconds; events that arrive later aren't shown yet.
    """

    def __init__(
        self,
        *,
        page_size: int = MOST_EVENTS,
        sparse: bool = False,
        failing_calls: Container[int] = (),
        errors: Mapping[int, str] | None = None,
        now: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self.streams: dict[str, list[Event]] | None = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._page_size = page_size
        self._sparse = sparse
        self._failing_calls = failing_calls
        self._errors = errors or {}
        self._now = now
        self._numbers = count()

    @property
    def calls(self) -> int:
        return len(self.requests)

    def calls_of(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.requests)

    def write(self, stream: str, *messages: str, at: int | None = None, arrives: float = 0.0) -> None:
        """Write events, each a millisecond after the one before.

        Args:
            stream: The stream, which is created if missing.
            messages: The events' texts.
            at: The first one's time in milliseconds since the epoch; if None, after the last one of the stream.
            arrives: When they can be seen, in seconds.
        """
        assert self.streams is not None
        events = self.streams.setdefault(stream, [])
        if at is None:
            at = events[-1].timestamp + 1 if events else 0
        for index, message in enumerate(messages):
            event = Event(at + index, next(self._numbers), stream, message, arrives)
            insort(events, event, key=attrgetter("place"))

    def describe_log_streams(self, *, logGroupName: str, logStreamNamePrefix: str, nextToken: str = "0") -> Any:  # noqa: N803  # AWS's names
        self._count("DescribeLogStreams", logStreamNamePrefix=logStreamNamePrefix, nextToken=nextToken)
        if self.streams is None or logGroupName != GROUP:
            raise refused("DescribeLogStreams", "ResourceNotFoundException")
        names = sorted(name for name in self.streams if name.startswith(logStreamNamePrefix))
        end = int(nextToken) + STREAMS_PER_PAGE
        more = {"nextToken": str(end)} if end < len(names) else {}
        return {"logStreams": [{"logStreamName": name} for name in names[int(nextToken) : end]], **more}

    def get_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803
        logStreamName: str,  # noqa: N803
        startTime: int = 0,  # noqa: N803
        startFromHead: bool = False,  # noqa: N803
        nextToken: str | None = None,  # noqa: N803
        limit: int = MOST_EVENTS,
    ) -> Any:
        self._count("GetLogEvents", logStreamName=logStreamName, startTime=startTime, nextToken=nextToken)
        if self.streams is None or logGroupName != GROUP or logStreamName not in self.streams:
            raise refused("GetLogEvents", "ResourceNotFoundException")
        if nextToken is not None and nextToken.startswith("f") and not startFromHead:
            raise refused("GetLogEvents", "InvalidParameterException")
        events = [event for event in self._visible(logStreamName) if event.timestamp >= startTime]
        if (nextToken or ("f" if startFromHead else "b")).startswith("f"):
            place, page, step = self._page(events, (nextToken or "f/-1/-1/0")[2:], limit)
            tokens = f"f/{place}/{step}", "b/-1/-1/0"
        else:
            backwards = [event._replace(timestamp=-event.timestamp, number=-event.number) for event in reversed(events)]
            place, page, step = self._page(backwards, (nextToken or f"b/{-(10**15)}/-1/0")[2:], limit)
            page = [event._replace(timestamp=-event.timestamp, number=-event.number) for event in reversed(page)]
            tokens = "f/-1/-1/0", f"b/{place}/{step}"
        answered = [event.as_answered for event in page]
        return {"events": answered, "nextForwardToken": tokens[0], "nextBackwardToken": tokens[1]}

    def filter_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803
        logStreamNames: list[str],  # noqa: N803
        startTime: int,  # noqa: N803
        nextToken: str | None = None,  # noqa: N803
    ) -> Any:
        self._count("FilterLogEvents", logStreamNames=logStreamNames, startTime=startTime, nextToken=nextToken)
        if not 1 <= len(logStreamNames) <= STREAMS_PER_FILTER or len(set(logStreamNames)) < len(logStreamNames):
            raise refused("FilterLogEvents", "InvalidParameterException")
        if self.streams is None or logGroupName != GROUP or any(name not in self.streams for name in logStreamNames):
            raise refused("FilterLogEvents", "ResourceNotFoundException")
        events = [event for name in logStreamNames for event in self._visible(name) if event.timestamp >= startTime]
        events.sort(key=attrgetter("place"))
        place, page, step = self._page(events, nextToken or "-1/-1/0", MOST_EVENTS)
        more = step or (page and page[-1] is not events[-1])
        answered = [
            {**event.as_answered, "logStreamName": event.stream, "eventId": str(event.number)} for event in page
        ]
        return {"events": answered, "searchedLogStreams": [], **({"nextToken": f"{place}/{step}"} if more else {})}

    def _visible(self, stream: str) -> Iterator[Event]:
        assert self.streams is not None
        now = self._now()
        return (event for event in self.streams[stream] if event.arrives <= now)

    def _page(self, events: list[Event], token: str, limit: int) -> tuple[str, list[Event], int]:
        """Return the page behind a token, its place and step: with `sparse`, the first step to a page is empty."""
        timestamp, number, step = map(int, token.split("/"))
        rest = (event for event in events if event.place > (timestamp, number))
        page = list(islice(_of_a_page(rest), min(limit, self._page_size)))
        if self._sparse and step == 0 and page:
            return f"{timestamp}/{number}", [], 1
        if page:
            timestamp, number = page[-1].place
        return f"{timestamp}/{number}", page, 0

    def _count(self, operation: str, **request: Any) -> None:
        self.requests.append((operation, request))
        number = self.calls - 1
        if number in self._failing_calls:
            raise refused(operation, "ThrottlingException")
        if number in self._errors:
            raise refused(operation, self._errors[number])


def _of_a_page(events: Iterable[Event]) -> Iterator[Event]:
    size = 0
    for event in events:
        size += len(event.message.encode("utf-8", "surrogatepass")) + 26
        if size > MOST_BYTES + 26:
            return
        yield event


def refused(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "why"}}, operation)
