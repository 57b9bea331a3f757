"""A SageMaker account in memory, in the loop's time."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.parsers  # what `aws_call` would load while a loop runs
import botocore.retries.standard  # noqa: F401  # the same
from botocore.exceptions import ClientError

from .virtual_time import START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    Fault = Callable[[str, Mapping[str, Any]], Exception | None]
    """Takes an operation and its request, and returns what it fails with."""

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
    environment: dict[str, str] = field(default_factory=dict)

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
        last = (self.created_at, "InProgress")
        for change in self.history:
            if change[0] + late <= moment:
                last = change
        return last


class Bucket:
    """Refuses calls beyond a rate per second, as an account does."""

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
        bucket: What throttles it.
        loses_ties: Whether a page that is sorted by creation begins after the time of the previous page's last job, so
            that jobs which were created at the same time and didn't fit on the previous page are left out.
        sorts_by_name: Whether SortBy is respected.
    """

    def __init__(
        self,
        jobs: Iterable[Job] = (),
        *,
        clock_ahead: float = 0.0,
        bucket: Bucket | None = None,
        loses_ties: bool = False,
        sorts_by_name: bool = True,
    ) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.bucket = bucket
        self.clock_ahead = clock_ahead
        self.loses_ties = loses_ties
        self.sorts_by_name = sorts_by_name
        self.clients = 0
        self.expired = 0
        """The number of clients, the oldest ones, whose credentials have expired."""

    @classmethod
    def of_ends(cls, count: int, first: float, last: float, **how: Any) -> Account:
        """Jobs that complete one after the other."""
        step = (last - first) / max(count, 1)
        return cls([Job(f"job-{n}", history=[(first + n * step, "Completed")]) for n in range(count)], **how)

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
        methods = {name: self._method(operation, self.clients) for name, operation in OPERATIONS.items()}
        return SimpleNamespace(meta=SimpleNamespace(method_to_api_mapping=OPERATIONS, service=service), **methods)

    def _method(self, operation: str, client: int) -> Callable[..., Mapping[str, Any]]:
        answer = {LIST: self._list, DESCRIBE: self._describe, STOP: self._stop}.get(operation, lambda **_: {})

        def method(**request: Any) -> Mapping[str, Any]:
            error = self._error(operation, request)
            if client <= self.expired:
                error = refusal("ExpiredTokenException", "The security token is expired", operation)
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

    def _list(
        self,
        *,
        MaxResults: int,  # noqa: N803  # AWS's names, here and below
        NextToken: str | None = None,  # noqa: N803
        LastModifiedTimeAfter: datetime | None = None,  # noqa: N803
        LastModifiedTimeBefore: datetime | None = None,  # noqa: N803
        StatusEquals: str | None = None,  # noqa: N803
        NameContains: str = "",  # noqa: N803
        SortBy: str = "CreationTime",  # noqa: N803
        SortOrder: str = "Ascending",  # noqa: N803
    ) -> dict[str, Any]:
        """From where the last page ended, as the listing shows the jobs now."""
        assert 1 <= MaxResults <= 100
        after, before = self._moment(LastModifiedTimeAfter, -math.inf), self._moment(LastModifiedTimeBefore, math.inf)
        places: list[tuple[float, str, str]] = []
        by_name = SortBy == "Name" and self.sorts_by_name
        for job in self.jobs.values():
            if job.listed and job.created_at <= self.now:
                modified, status = job.shown(self.now)
                fits = after < modified < before and StatusEquals in {None, status}
                if fits and NameContains.lower() in job.name.lower():
                    places.append((0.0 if by_name else job.created_at, job.name, status))
        places.sort(reverse=SortOrder == "Descending")
        if NextToken is not None:
            last = _place(NextToken)
            places = [place for place in places if self._is_after(place[:2], last, SortOrder, by_name=by_name)]
        page = places[:MaxResults]
        summaries = [{"ProcessingJobName": name, "ProcessingJobStatus": status} for _, name, status in page]
        token = {"NextToken": f"{page[-1][0]!r} {page[-1][1]}"} if len(places) > MaxResults else {}
        return {"ProcessingJobSummaries": summaries, **token}

    def _is_after(self, place: tuple[float, str], last: tuple[float, str], order: str, *, by_name: bool) -> bool:
        if self.loses_ties and not by_name and place[0] == last[0]:
            return False
        return place < last if order == "Descending" else place > last

    def _moment(self, wanted: datetime | None, default: float) -> float:
        """A request's time by the loop's clock; on the wire it has whole seconds."""
        return default if wanted is None else int(wanted.timestamp()) - START - self.clock_ahead

    def _job(self, name: str, operation: str) -> Job:
        job = self.jobs.get(name)
        if job is None or job.created_at > self.now:
            raise refusal("ResourceNotFound", f"Could not find requested job with name: {name}", operation)
        return job

    def _describe(self, *, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N803  # AWS's name
        job = self._job(ProcessingJobName, DESCRIBE)
        described = {"ProcessingJobName": ProcessingJobName, "ProcessingJobStatus": job.status(self.now)}
        return described | ({"Environment": job.environment} if job.environment else {})

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
