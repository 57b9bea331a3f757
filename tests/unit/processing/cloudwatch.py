"""A CloudWatch Logs client that pages as the API's reference says, which moto does only in part."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/ProcessingJobs"
STREAMS_PER_PAGE = 50


class CloudWatchLogs:
    """Holds events; any page may be short, and with `sparse` each page with events comes after an empty one.

    Args:
        page_size: Events of a page at most.
        sparse: Whether there are empty pages with more to come.
        failing_calls: Numbers of the calls, from 0, that are throttled.
    """

    def __init__(
        self, *, page_size: int = 10_000, sparse: bool = False, failing_calls: frozenset[int] = frozenset()
    ) -> None:
        self.streams: dict[str, list[dict[str, Any]]] | None = {}
        self.calls = 0
        self._page_size = page_size
        self._sparse = sparse
        self._failing_calls = failing_calls

    def write(self, stream: str, *messages: str, at: int = 0) -> None:
        """Append events; `at` is the first one's time in milliseconds since the epoch."""
        assert self.streams is not None
        events = self.streams.setdefault(stream, [])
        events += [{"timestamp": at + index, "message": message} for index, message in enumerate(messages)]

    def describe_log_streams(self, *, logGroupName: str, logStreamNamePrefix: str, nextToken: str = "0") -> Any:  # noqa: N803  # AWS's names
        self._count("DescribeLogStreams")
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
        startFromHead: bool = False,  # noqa: N803
        nextToken: str | None = None,  # noqa: N803
        limit: int = 10_000,
    ) -> Any:
        self._count("GetLogEvents")
        if self.streams is None or logGroupName != GROUP or logStreamName not in self.streams:
            raise refused("GetLogEvents", "ResourceNotFoundException")
        if nextToken is not None and nextToken.startswith("f") and not startFromHead:
            raise refused("GetLogEvents", "InvalidParameterException")
        events = self.streams[logStreamName]
        start = ("f/0/0" if startFromHead else f"b/{len(events)}/0") if nextToken is None else nextToken
        return self._page(events, start, min(limit, self._page_size))

    def _page(self, events: list[dict[str, Any]], token: str, size: int) -> dict[str, Any]:
        direction, place, step = token[0], *map(int, token[2:].split("/"))
        end = len(events) if direction == "f" else 0
        page: list[dict[str, Any]] = []
        if self._sparse and step == 0 and place != end:
            step = 1
        elif direction == "f":
            page, place, step = events[place : place + size], min(place + size, end), 0
        else:
            page, place, step = events[max(place - size, 0) : place], max(place - size, 0), 0
        tokens = {"f": "f/0/0", "b": "b/0/0", direction: f"{direction}/{place}/{step}"}
        return {"events": page, "nextForwardToken": tokens["f"], "nextBackwardToken": tokens["b"]}

    def _count(self, operation: str) -> None:
        self.calls += 1
        if self.calls - 1 in self._failing_calls:
            raise refused(operation, "ThrottlingException")


def refused(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "why"}}, operation)
