"""A CloudWatch that lives in made-up time, and followers of its logs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from airflow_sm_processing.processing.aws_calls import aws_call
from airflow_sm_processing.watcher.log_feed import LogFeed
from tests.unit.processing.cloudwatch import CloudWatchLogs

from .virtual_time import START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_sm_processing.processing import LogLine
    from airflow_sm_processing.watcher.log_feed import Followed

OPERATIONS = {"filter_log_events": "FilterLogEvents", "describe_log_streams": "DescribeLogStreams"}


Written = tuple[str, float, float, str]
"""An event's stream, its time and its lateness in seconds, and its text, often that of others."""

logs = st.lists(
    st.tuples(
        st.sampled_from(["job/algo-1-17", "job/algo-2-17", "other/algo-1-17"]),
        st.integers(0, 20_000).map(lambda milliseconds: milliseconds / 1000),
        st.sampled_from([0.0, 0.0, 0.3, 2.4]),
        st.sampled_from(["a", "b", "c\nd"]),
    ),
    max_size=60,
)
"""Logs of two jobs, `job` and `other`."""


def texts(events: Sequence[Written], job: str) -> Counter[str]:
    """The lines of a job."""
    return Counter(line for name, _, _, text in events if name.startswith(f"{job}/") for line in text.split("\n"))


class World:
    """A feed over a CloudWatch whose events arrive as the loop's time passes.

    Args:
        latency: Seconds that a call takes.
        options: What `CloudWatchLogs` takes.
    """

    def __init__(self, *, latency: float = 0.05, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        self.client = CloudWatchLogs(now=lambda: START + loop.time(), **options)
        self.called_at: list[float] = []
        self._latency = latency
        self._loop = loop
        self.feed = self.new_feed()

    @property
    def now(self) -> float:
        """Seconds after the start."""
        return self._loop.time()

    def new_feed(self) -> LogFeed:
        return LogFeed(self.call, streams_a_call=100)

    async def call(self, method: str, subject: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.called_at.append(self.now)
        await asyncio.sleep(self._latency)
        with aws_call(OPERATIONS[method], subject):
            answer: Mapping[str, Any] = getattr(self.client, method)(**request)
            return answer

    def write(self, stream: str, *messages: str, after: float = 0.0, late: float = 0.0) -> None:
        """Write events at so many seconds after the start, which arrive so much later."""
        at = START + after
        self.client.write(stream, *messages, at=round(at * 1000), arrives=at + late)

    async def until(self, after: float) -> None:
        await asyncio.sleep(after - self.now)


class Follower:
    """Follows one job and keeps its lines."""

    def __init__(
        self, feed: LogFeed, job_name: str, sink: Callable[[Sequence[LogLine]], None] | None = None, **options: Any
    ) -> None:
        self.lines: list[LogLine] = []
        self.log: Followed = feed.follow(job_name, sink or self.lines.extend, **{"since": START, **options})

    @property
    def messages(self) -> list[str]:
        return [line.message for line in self.lines]

    def of_host(self, host: str) -> list[str]:
        return [line.message for line in self.lines if line.host == host]
