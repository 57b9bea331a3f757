"""What is asked, counted, throttled and answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.fake_sagemaker.errors import ServiceError, throttled
from benchmarks.fake_sagemaker.jobs import Jobs
from benchmarks.fake_sagemaker.limits import Bucket, Counts, Window
from benchmarks.fake_sagemaker.listing import list_jobs
from benchmarks.fake_sagemaker.logs import Logs
from benchmarks.fake_sagemaker.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.fake_sagemaker.plan import Plan

FILTER_LOG_EVENTS_A_SECOND = 5
CONTROL = "/control/"
"""Paths below it are the benchmark's, neither counted nor throttled: `start`, `calls`, `ends` and `lines`."""


class Service:
    """Both services of one account."""

    def __init__(self, plan: Plan) -> None:
        self.jobs = Jobs(plan, time.time())
        self.counts = Counts()
        self._streams = Streams(self.jobs, plan)
        self._logs = Logs(self._streams)
        self._account = Bucket(plan.throttle, time.monotonic()) if plan.throttle else None
        self._filtering = Window(FILTER_LOG_EVENTS_A_SECOND)
        self._operations = {
            "DescribeProcessingJob": self._describe,
            "ListProcessingJobs": lambda request, now: list_jobs(self.jobs, request, now),
            "StopProcessingJob": self._stop,
            "DescribeLogStreams": self._logs.describe_streams,
            "FilterLogEvents": self._logs.filter_events,
            "GetLogEvents": self._logs.get_events,
        }
        self._controls = {"start": self._start, "calls": self.counts.report, "ends": self._ends, "lines": self._lines}

    def answer(self, target: str, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Give status and body for a target such as `SageMaker.ListProcessingJobs`, or a control path."""
        if target.startswith(CONTROL):
            return 200, self._controls[target.removeprefix(CONTROL)]()
        try:
            return 200, self._called(target.rpartition(".")[2], request)
        except ServiceError as error:
            return 400, {"__type": error.code, "message": error.message}

    def _called(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation not in self._operations:
            raise ServiceError("UnknownOperationException", f"This fake has no {operation}.")
        now = time.monotonic()
        accepted = self._allows(operation, now)
        self.counts.add(operation, now, accepted=accepted)
        if not accepted:
            raise throttled()
        return self._operations[operation](request, time.time())

    def _allows(self, operation: str, now: float) -> bool:
        if operation == "FilterLogEvents" and not self._filtering.take(now):
            return False
        return self._account is None or self._account.take(now)

    def _describe(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        return self.jobs[request["ProcessingJobName"]].description(now)

    def _stop(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        self.jobs.stop(self.jobs[request["ProcessingJobName"]], now)
        return {}

    def _start(self) -> dict[str, Any]:
        return {"started_at": self.jobs.start(time.time())}

    def _lines(self) -> dict[str, Any]:
        """Count the lines that can be read, by stream."""
        now = time.time()
        return {stream.name: stream.visible(now) for stream in self._streams.existing(now)}

    def _ends(self) -> dict[str, Any]:
        """Give each job's last change, planned or made: when it ends, and how."""
        return {job.name: [job.changes[-1].at, job.changes[-1].status] for job in self.jobs}
