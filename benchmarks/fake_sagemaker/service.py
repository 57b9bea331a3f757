"""What is asked, counted, throttled and answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.fake_sagemaker.errors import ServiceError, throttled
from benchmarks.fake_sagemaker.jobs import ARN, Jobs
from benchmarks.fake_sagemaker.limits import Bucket, Counts, Window
from benchmarks.fake_sagemaker.listing import list_jobs
from benchmarks.fake_sagemaker.logs import Logs
from benchmarks.fake_sagemaker.streams import Streams
from benchmarks.fake_sagemaker.trouble import Trouble, Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.fake_sagemaker.plan import Plan

FILTER_LOG_EVENTS_A_SECOND = 5
CONTROL = "/control/"
"""Paths below it are the benchmark's, neither counted nor throttled: `start`, `calls`, `ends`, `lines` and `jobs`."""


class Service:
    """Both services of one account."""

    def __init__(self, plan: Plan) -> None:
        self.jobs = Jobs(plan, time.time())
        self.counts = Counts()
        self._streams = Streams(self.jobs, plan)
        self._logs = Logs(self._streams)
        self._account = Bucket(plan.throttle, time.monotonic()) if plan.throttle else None
        self._filtering = Window(FILTER_LOG_EVENTS_A_SECOND)
        self._creating = Bucket(plan.creates, time.monotonic()) if plan.creates else None
        self._troubles = Troubles(plan.trouble, plan.seed)
        self._operations: Mapping[str, Callable[[Mapping[str, Any], float], dict[str, Any]]] = {
            "CreateProcessingJob": self._create,
            "ListTags": self._list_tags,
            "DescribeProcessingJob": self._describe,
            "ListProcessingJobs": lambda request, now: list_jobs(self.jobs, request, now),
            "StopProcessingJob": self._stop,
            "DescribeLogStreams": self._logs.describe_streams,
            "FilterLogEvents": self._logs.filter_events,
            "GetLogEvents": self._logs.get_events,
        }
        self._controls: Mapping[str, Callable[[], dict[str, Any]]] = {
            "start": self._start,
            "calls": lambda: {**self.counts.report(), "troubles": self._troubles.counts},
            "ends": self._ends,
            "lines": self._lines,
            "jobs": self._all_jobs,
        }

    def trouble(self, target: str) -> Trouble | None:
        """Say what goes wrong with a call before, or instead of, its answer."""
        return None if target.startswith(CONTROL) else self._troubles.next()

    def answer(
        self, target: str, request: Mapping[str, Any], trouble: Trouble | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return status and body for a target such as `SageMaker.ListProcessingJobs`, or a control path."""
        if target.startswith(CONTROL):
            return 200, self._controls[target.removeprefix(CONTROL)]()
        if trouble is Trouble.ERROR:
            return 500, {"__type": "InternalFailure", "message": "The service failed, as it does at times."}
        try:
            if trouble is Trouble.THROTTLE:
                raise throttled()
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
        if operation == "CreateProcessingJob" and self._creating is not None and not self._creating.take(now):
            return False
        return self._account is None or self._account.take(now)

    def _create(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        return {"ProcessingJobArn": ARN + self.jobs.create(request, now).name}

    def _list_tags(self, request: Mapping[str, Any], _now: float) -> dict[str, Any]:
        return {"Tags": self.jobs[request["ResourceArn"].removeprefix(ARN)].tags()}

    def _describe(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        return self.jobs[request["ProcessingJobName"]].description(now)

    def _stop(self, request: Mapping[str, Any], now: float) -> dict[str, Any]:
        self.jobs.stop(self.jobs[request["ProcessingJobName"]], now)
        return {}

    def _all_jobs(self) -> dict[str, Any]:
        """Return each job's status and tags."""
        now = time.time()
        return {
            job.name: {
                "status": job.change(now).status,
                "created": job.created,
                "tags": {tag["Key"]: tag["Value"] for tag in job.tags()},
            }
            for job in self.jobs
        }

    def _start(self) -> dict[str, Any]:
        return {"started_at": self.jobs.start(time.time())}

    def _lines(self) -> dict[str, Any]:
        """Count the lines that can be read, by stream."""
        now = time.time()
        return {stream.name: stream.visible(now) for stream in self._streams.existing(now)}

    def _ends(self) -> dict[str, Any]:
        """Return each job's last change, planned or made: when it ends, and how."""
        return {job.name: [job.changes[-1].at, job.changes[-1].status] for job in self.jobs}
