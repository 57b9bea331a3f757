"""A processing job as the service sees it, and all of them by name."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local.validation import ServiceError, validation_error

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of the request, Describe gives back all but these; ListTags gives the tags.
_NOT_DESCRIBED = frozenset({"Tags"})
_DEFAULT_COUNT = 1  # of InstanceCount, as the API reference says


class Status(str, Enum):
    """ProcessingJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self in {Status.STOPPED, Status.COMPLETED, Status.FAILED}


@dataclass(eq=False)
class Job:
    """One processing job: what was asked for, and what became of it."""

    request: Mapping[str, Any]
    account_id: str
    region: str
    status: Status = Status.IN_PROGRESS
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    started: datetime | None = None
    ended: datetime | None = None
    failure_reason: str | None = None
    exit_message: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    wake: threading.Condition = field(default_factory=threading.Condition, repr=False)
    """Guards every field, and is notified when the job's runner has something to look at."""

    def __post_init__(self) -> None:
        self.modified = self.created
        self.tags = {tag["Key"]: tag["Value"] for tag in self.request.get("Tags", [])}

    @property
    def name(self) -> str:
        """ProcessingJobName, unique in an account and region."""
        return str(self.request["ProcessingJobName"])

    @property
    def arn(self) -> str:
        """ProcessingJobArn."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:processing-job/{self.name}"

    @property
    def cluster(self) -> dict[str, Any]:
        """Return the ClusterConfig, with the first of the preferred instance types selected."""
        cluster = dict(self.request["ProcessingResources"]["ClusterConfig"])
        if preferences := cluster.get("InstancePreferences"):
            cluster["SelectedInstanceType"] = preferences[0]["InstanceType"]
            cluster["SelectedInstanceCount"] = preferences[0].get("InstanceCount", cluster.get("InstanceCount"))
        return cluster

    @property
    def instance_count(self) -> int:
        """How many hosts run the script."""
        return int(self.cluster.get("SelectedInstanceCount") or self.cluster.get("InstanceCount", _DEFAULT_COUNT))

    @property
    def instance_type(self) -> str:
        """The type of each host, such as ml.m5.xlarge."""
        return str(self.cluster.get("SelectedInstanceType") or self.cluster["InstanceType"])

    def start(self) -> bool:
        """Set ProcessingStartTime, unless the job is to stop already."""
        with self.wake:
            if self.status is not Status.IN_PROGRESS:
                return False
            self.started = self.modified = datetime.now(timezone.utc)
            return True

    def stop(self) -> None:
        """Ask for the end; asking again changes nothing.

        Raises:
            ServiceError: ValidationException, when the job has ended, as the service says of training jobs.
        """
        with self.wake:
            if self.status.is_terminal:
                raise validation_error(
                    f"The request was rejected because the processing job is in status {self.status.value}."
                )
            if self.status is Status.IN_PROGRESS:
                self.status = Status.STOPPING
                self.modified = datetime.now(timezone.utc)
                self.wake.notify_all()

    def end(self, status: Status, *, failure_reason: str | None = None, exit_message: str | None = None) -> None:
        """Set the terminal status; a reason or message is cut at the model's length."""
        with self.wake:
            self.status = status
            self.failure_reason = failure_reason
            self.exit_message = exit_message
            self.ended = self.modified = datetime.now(timezone.utc)
            self.wake.notify_all()

    def describe(self) -> dict[str, Any]:
        """Return DescribeProcessingJob's answer; absent fields are left out, as the service does."""
        with self.wake:
            described = {name: value for name, value in self.request.items() if name not in _NOT_DESCRIBED}
            described["ProcessingResources"] = {"ClusterConfig": self.cluster}
            described |= self.summary() | {
                "ProcessingStartTime": self.started,
                "ExitMessage": self.exit_message,
            }
            return {name: value for name, value in described.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the job's entry in ListProcessingJobs' answer."""
        with self.wake:
            fields = {
                "ProcessingJobName": self.name,
                "ProcessingJobArn": self.arn,
                "ProcessingJobStatus": self.status.value,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "ProcessingEndTime": self.ended,
                "ExitMessage": self.exit_message,
                "FailureReason": self.failure_reason,
            }
            return {name: value for name, value in fields.items() if value is not None}


class Jobs:
    """The jobs of one account and region."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Keep a new job.

        Raises:
            ServiceError: ResourceInUse, when the name is taken.
        """
        with self._lock:
            if taken := self._jobs.get(job.name):
                message = (
                    "Job name must be unique within an AWS account and region, "
                    f"and a job with this name already exists ({taken.arn})"
                )
                raise ServiceError("ResourceInUse", message)
            self._jobs[job.name] = job

    def find(self, name: str) -> Job | None:
        """Return the job of this name, if there is one."""
        with self._lock:
            return self._jobs.get(name)

    def get(self, name: str) -> Job:
        """Return the job of this name.

        Raises:
            ServiceError: ValidationException when there is none. The model declares ResourceNotFound, but this is
                what callers of the service report, and what the amazon provider's operator relies on:
                https://github.com/apache/airflow/pull/27456
        """
        job = self.find(name)
        if job is None:
            raise validation_error(_not_found(name))
        return job

    def delete(self, name: str) -> None:
        """Forget an ended job and free its name.

        Raises:
            ServiceError: ResourceNotFound, as the model has it and no report says otherwise, or ResourceInUse
                when the job hasn't ended.
        """
        job = self.find(name)
        if job is None:
            raise ServiceError("ResourceNotFound", _not_found(name))
        if not job.status.is_terminal:
            message = f"Processing job {job.arn} is {job.status.value}. Only an ended job can be deleted."
            raise ServiceError("ResourceInUse", message)
        with self._lock:
            self._jobs.pop(name, None)

    def all(self) -> list[Job]:
        """Return every job, oldest first."""
        with self._lock:
            return list(self._jobs.values())


def _not_found(name: str) -> str:
    return f"Could not find requested job with name: {name}"
