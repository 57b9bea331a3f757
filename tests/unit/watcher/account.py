"""A SageMaker account in memory, in the loop's time, and what watches it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.parsers  # what `aws_call` would load while a loop runs
import botocore.retries.standard  # noqa: F401  # the same
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_sm_processing.watcher.lookout import Lookout
from airflow_sm_processing.watcher.watches import Verdict, Watch

from .virtual_time import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    Fault = Callable[[str, Mapping[str, Any]], Exception | None]
    """Takes an operation and its request, and gives what it fails with."""

__all__ = ["Account", "Bucket", "Call", "Job", "Seen", "World", "denied", "refusal", "server_error", "unreachable"]

OPERATIONS = {
    "list_processing_jobs": "ListProcessingJobs",
    "describe_processing_job": "DescribeProcessingJob",
    "stop_processing_job": "StopProcessingJob",
    "filter_log_events": "FilterLogEvents",
}
LIST, DESCRIBE, STOP = "ListProcessingJobs", "DescribeProcessingJob", "StopProcessingJob"
STOPPING_SECONDS = 5.0


def refusal(code: str, message: str, operation: str, status: int = 400) -> ClientError:
    """What botocore raises for an answer of that kind."""
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


def denied(operation: str) -> ClientError:
    return refusal("AccessDeniedException", f"not authorized to perform: sagemaker:{operation}", operation)


def server_error(operation: str) -> ClientError:
    return refusal("InternalFailure", "The server is sorry", operation, 500)


def unreachable() -> EndpointConnectionError:
    return EndpointConnectionError(endpoint_url="https://api.sagemaker.eu-west-1.amazonaws.com/")


@dataclass
class Job:
    """A job, by the loop's clock."""

    name: str
    created_at: float = -36_000.0
    history: list[tuple[float, str]] = field(default_factory=list)
    """When it took which status, oldest first; it is InProgress before."""
    late: float = 0.0
    """Seconds after which the listing shows a change of status."""
    silent: bool = False
    """Whether the listing's LastModifiedTime stays what it was at the creation."""
    listed: bool = True

    def status(self, moment: float) -> str:
        return self._last(moment, 0.0)[1]

    def shown(self, moment: float) -> tuple[float, str]:
        """When it was last modified, and its status, as the listing has them."""
        modified, status = self._last(moment, self.late)
        return (self.created_at if self.silent else modified), status

    def ended_at(self) -> float:
        """When it took its last status, if that is one that a job ends with."""
        moment, status = self._last(math.inf, 0.0)
        return moment if status in {"Completed", "Failed", "Stopped"} else math.inf

    def _last(self, moment: float, late: float) -> tuple[float, str]:
        started = (self.created_at, "InProgress")
        return max([started, *(change for change in self.history if change[0] + late <= moment)])


class Bucket:
    """Refuses calls beyond so many a second, as an account does."""

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self._rate = rate
        self._size = burst or rate
        self._tokens = self._size
        self._moment = 0.0

    def takes(self, moment: float) -> bool:
        self._tokens = min(self._size, self._tokens + (moment - self._moment) * self._rate)
        self._moment = moment
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Call(NamedTuple):
    """A call that reached the account, or would have."""

    operation: str
    at: float
    subject: str | None
    error: str | None


class Account:
    """SageMaker's side: jobs, the calls that came, and what fails.

    Args:
        clock_ahead: Seconds by which the service's clock is ahead of this machine's.
        page_size: The most jobs of a page, where MaxResults isn't less.
    """

    def __init__(
        self, jobs: Iterable[Job] = (), *, clock_ahead: float = 0.0, page_size: int = 100, bucket: Bucket | None = None
    ) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.bucket = bucket
        self.clock_ahead = clock_ahead
        self.clients = 0
        self._page_size = page_size

    @property
    def now(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def add(self, name: str, *changes: tuple[float, str], **how: Any) -> Job:
        self.jobs[name] = job = Job(name, history=sorted(changes), **how)
        return job

    def counts(self, since: float = 0.0, until: float = math.inf) -> Counter[str]:
        """How many calls came, by operation."""
        return Counter(call.operation for call in self.calls if since <= call.at < until)

    def refused(self, since: float = 0.0) -> int:
        return sum(call.error == "ThrottlingException" for call in self.calls if call.at >= since)

    def client(self, service: str) -> Any:
        """A client as boto3 makes it, for what is called of it here."""
        self.clients += 1
        methods = {name: self._method(operation) for name, operation in OPERATIONS.items()}
        return SimpleNamespace(meta=SimpleNamespace(method_to_api_mapping=OPERATIONS, service=service), **methods)

    def _method(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        answer = {LIST: self._list, DESCRIBE: self._describe, STOP: self._stop}.get(operation, lambda **_: {})

        def method(**request: Any) -> Mapping[str, Any]:
            error = self._error(operation, request)
            code = error and getattr(error, "response", {"Error": {"Code": type(error).__name__}})["Error"]["Code"]
            self.calls.append(Call(operation, self.now, request.get("ProcessingJobName"), code))
            if error is not None:
                raise error
            headers = {"date": formatdate(START + self.now + self.clock_ahead, usegmt=True)}
            return {**answer(**request), "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": headers}}

        return method

    def _error(self, operation: str, request: Mapping[str, Any]) -> Exception | None:
        if self.bucket is not None and not self.bucket.takes(self.now):
            return refusal("ThrottlingException", "Rate exceeded", operation)
        return next((error for fault in self.faults if (error := fault(operation, request)) is not None), None)

    def _list(self, *, MaxResults: int, NextToken: str | None = None, **filters: Any) -> dict[str, Any]:  # noqa: N803  # AWS's names
        """By creation, from where the last page ended, as the jobs are now."""
        assert 1 <= MaxResults <= 100
        size = min(MaxResults, self._page_size)
        matching = sorted(
            (job.created_at, job.name) for job in self.jobs.values() if job.listed and self._matches(job, **filters)
        )
        rest = [place for place in matching if NextToken is None or place > _place(NextToken)]
        page = rest[:size]
        answer: dict[str, Any] = {"ProcessingJobSummaries": [self._summary(name) for _, name in page]}
        if len(rest) > size:
            answer["NextToken"] = f"{page[-1][0]!r} {page[-1][1]}"
        return answer

    def _summary(self, name: str) -> dict[str, Any]:
        modified, status = self.jobs[name].shown(self.now)
        moment = datetime.fromtimestamp(self._epoch(modified), timezone.utc)
        return {"ProcessingJobName": name, "ProcessingJobStatus": status, "LastModifiedTime": moment}

    def _matches(
        self,
        job: Job,
        *,
        LastModifiedTimeAfter: datetime | None = None,  # noqa: N803  # AWS's names
        LastModifiedTimeBefore: datetime | None = None,  # noqa: N803  # AWS's names
        StatusEquals: str | None = None,  # noqa: N803  # AWS's names
    ) -> bool:
        modified, status = job.shown(self.now)
        epoch = self._epoch(modified)
        return (
            job.created_at <= self.now
            and (LastModifiedTimeAfter is None or epoch > int(LastModifiedTimeAfter.timestamp()))  # as on the wire
            and (LastModifiedTimeBefore is None or epoch < int(LastModifiedTimeBefore.timestamp()))
            and StatusEquals in {None, status}
        )

    def _epoch(self, moment: float) -> float:
        return START + moment + self.clock_ahead

    def _job(self, name: str, operation: str) -> Job:
        job = self.jobs.get(name)
        if job is None or job.created_at > self.now:
            raise refusal("ResourceNotFound", f"Could not find requested job with name: {name}", operation)
        return job

    def _describe(self, *, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N803  # AWS's name
        status = self._job(ProcessingJobName, DESCRIBE).status(self.now)
        return {"ProcessingJobName": ProcessingJobName, "ProcessingJobStatus": status}

    def _stop(self, *, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N803  # AWS's name
        job = self._job(ProcessingJobName, STOP)
        status = job.status(self.now)
        if status != "InProgress":
            raise refusal("ValidationException", f"The job is in status {status} and can't be stopped", STOP)
        job.history = [(self.now, "Stopping"), (self.now + STOPPING_SECONDS, "Stopped")]
        return {}


def _place(token: str) -> tuple[float, str]:
    created_at, name = token.split(" ", 1)
    return float(created_at), name


class Seen(NamedTuple):
    """What a waiter was told, and when by the loop's clock."""

    verdict: Verdict
    at: float
    message: str | None


class World:
    """An account and its lookout.

    Args:
        latency: Seconds that a call takes.
    """

    def __init__(self, account: Account, *, latency: float = 0.05) -> None:
        self.account = account
        self._latency = latency
        self.lookout = Lookout(lambda: account.client, self.in_thread)

    @classmethod
    @asynccontextmanager
    async def over(cls, account: Account, **options: Any) -> AsyncIterator[World]:
        world = cls(account, **options)
        try:
            yield world
        finally:
            await world.lookout.close()

    @property
    def now(self) -> float:
        return self.account.now

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        await asyncio.sleep(self._latency / 2)
        try:
            return function()
        finally:
            await asyncio.sleep(self._latency / 2)

    async def until(self, moment: float) -> None:
        await asyncio.sleep(moment - self.now)

    async def end_of(self, job_name: str, *, poll_interval: float = 5.0, **options: Any) -> Seen:
        """Watch a job; `since` and `deadline` are by the loop's clock, and turned to what this machine's shows."""
        for name in options.keys() & {"since", "deadline"}:
            options[name] = None if options[name] is None else START + options[name]
        end = await self.lookout.jobs.end_of(Watch(job_name=job_name, poll_interval=poll_interval, **options))
        return Seen(end.verdict, self.now, end.message)

    def watch(self, job_name: str, **options: Any) -> asyncio.Task[Seen]:
        return asyncio.ensure_future(self.end_of(job_name, **options))

    async def ends_of(self, job_names: Iterable[str], **options: Any) -> dict[str, Seen]:
        """Watch jobs from now on, each to its end."""
        names = list(job_names)
        ends = await asyncio.gather(*(self.end_of(name, **options) for name in names))
        return dict(zip(names, ends, strict=True))
