"""A SageMaker account in memory, behind a real botocore client: names are unique, and answers can be lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from airflow_sm_processing.processing import Session

if TYPE_CHECKING:
    from collections.abc import Callable

_REGION = "eu-central-1"
_ENDED = {"Completed", "Failed", "Stopped"}


@cache
def _boto_session() -> boto3.Session:
    """Return the one session, which has read the service's model."""
    return boto3.Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", region_name=_REGION)


class Body:
    """A response's body, as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Any:
        yield self._content


@dataclass
class RefusedError(Exception):
    """What the service answers instead."""

    code: str
    message: str = "why"
    status: int = 400


@dataclass
class SageMaker:
    """The jobs of an account."""

    clock: Callable[[], float]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    """The names of the jobs that were made, deleted ones too."""
    refusals: list[tuple[str, RefusedError]] = field(default_factory=list)
    """The errors of the next calls of operations."""
    loses: list[str] = field(default_factory=list)
    """Operations whose next call is carried out, while its response is lost."""
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens right before an operation is carried out, once."""

    def session(self) -> Session:
        """Return a session on the account, whose client tries each call once."""
        return Session(boto_session=_boto_session(), sagemaker_client=self._client, default_bucket="bucket")

    @cached_property
    def _client(self) -> Any:
        once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        client = _boto_session().client("sagemaker", config=once)
        client.meta.events.register("before-send.sagemaker.*", self._answer)
        return client

    def end(self, name: str, status: str, reason: str | None = None) -> None:
        """Let a job end."""
        self.jobs[name]["ProcessingJobStatus"] = status
        if reason:
            self.jobs[name]["FailureReason"] = reason

    @property
    def running(self) -> list[str]:
        """The names of the jobs that have not ended."""
        return [name for name, job in self.jobs.items() if job["ProcessingJobStatus"] not in _ENDED]

    def tags(self, name: str) -> dict[str, str]:
        """Return a job's tags."""
        return {tag["Key"]: tag["Value"] for tag in self.jobs[name]["Tags"]}

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        self.calls.append(operation)
        if operation in self.before:
            self.before.pop(operation)()
        status, body = 200, {}
        try:
            self._refuse(operation)
            body = getattr(self, f"_{operation}")(json.loads(request.body))
        except RefusedError as refusal:
            status, body = refusal.status, {"__type": refusal.code, "message": refusal.message}
        if operation in self.loses:
            self.loses.remove(operation)
            raise EndpointConnectionError(endpoint_url=request.url)
        return AWSResponse(request.url, status, {}, Body(json.dumps(body).encode()))

    def _refuse(self, operation: str) -> None:
        for index, (name, refusal) in enumerate(self.refusals):
            if name == operation:
                del self.refusals[index]
                raise refusal

    def _CreateProcessingJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # the operation's name
        name = body["ProcessingJobName"]
        if name in self.jobs:
            raise RefusedError("ResourceInUse", f"{name} is in use")
        arn = f"arn:aws:sagemaker:{_REGION}:123456789012:processing-job/{name}"
        self.jobs[name] = {
            **body,
            "ProcessingJobArn": arn,
            "ProcessingJobStatus": "InProgress",
            "CreationTime": self.clock(),
            "Tags": body.get("Tags", []),
        }
        self.made.append(name)
        return {"ProcessingJobArn": arn}

    def _job(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["ProcessingJobName"] not in self.jobs:
            raise RefusedError("ResourceNotFound", "Could not find requested job")
        return self.jobs[body["ProcessingJobName"]]

    def _DescribeProcessingJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {key: value for key, value in self._job(body).items() if key != "Tags"}

    def _ListTags(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [job for job in self.jobs.values() if job["ProcessingJobArn"] == body["ResourceArn"]]
        if not found:
            raise RefusedError("ResourceNotFound")
        return {"Tags": found[0]["Tags"]}

    def _ListProcessingJobs(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [job for name, job in self.jobs.items() if body["NameContains"] in name]
        found.sort(key=lambda job: job["CreationTime"], reverse=True)
        keys = ("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus", "CreationTime")
        return {"ProcessingJobSummaries": [{key: job[key] for key in keys} for job in found]}

    def _StopProcessingJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        job = self._job(body)
        if job["ProcessingJobStatus"] in _ENDED:
            raise RefusedError("ValidationException", "has ended")
        job["ProcessingJobStatus"] = "Stopped"
        return {}

    def _DeleteProcessingJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        job = self._job(body)
        if job["ProcessingJobStatus"] not in _ENDED:
            raise RefusedError("ValidationException", "is running")
        del self.jobs[body["ProcessingJobName"]]
        return {}
