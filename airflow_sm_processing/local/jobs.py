"""A job as the service sees it, of either kind, and all jobs of a kind by name.

The subclasses in `processing.py` and `training.py` have what differs between the kinds: the meaning of the request's
fields, and what the container finds. One runner runs jobs of both kinds.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.local.validation import ServiceError, validation_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Fields of the request that Describe doesn't return; ListTags returns the tags.
_NOT_DESCRIBED = frozenset({"Tags"})
_DEFAULT_COUNT = 1  # InstanceCount's default in the API reference


class Status(str, Enum):
    """ProcessingJobStatus and TrainingJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self in {Status.STOPPED, Status.COMPLETED, Status.FAILED}


class Stage(str, Enum):
    """The phase of a job, in the words of a training job's SecondaryStatus."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    RUNNING = "Training"
    STOPPING = "Stopping"
    UPLOADING = "Uploading"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Data that is downloaded from S3 to a job's hosts before their commands start."""

    uri: str
    path: str
    """The container's folder to download to."""
    is_manifest: bool = False
    is_sharded: bool = False
    """Whether each host gets its share of the objects, instead of all."""
    is_optional: bool = False
    """Whether the data may be missing."""
    is_looked_for: bool = False
    """Whether the creation of the job is refused if the data is missing."""
    is_object: bool = False
    """Whether the URI is that of one object, not a prefix."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A folder of each host whose content is uploaded to S3."""

    uri: str
    """A prefix; for an archive, the object."""
    path: str
    """The container's folder."""
    is_archive: bool = False
    """Whether the folders of all hosts become one gzipped tar file."""
    is_continuous: bool = False
    """Whether it is uploaded while the commands run, and at the end whatever the job's status is."""
    is_restored: bool = False
    """Whether the folder's content before the commands start was downloaded from the same URI."""
    kms_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """The position of one host among a job's hosts."""

    host: str
    hosts: Sequence[str]
    interface: str
    """The network interface by which they reach each other."""


@dataclass(eq=False)
class Job(ABC):
    """One job: its request and its state."""

    kind: ClassVar[str]
    """The word in the API's names, such as Processing in CreateProcessingJob."""
    fixed_folders: ClassVar[Sequence[str]]
    """The folders that every container of this kind has below /opt/ml."""
    message_file: ClassVar[str | None] = None
    """The file in /opt/ml/output that becomes the ExitMessage."""
    failure_file: ClassVar[str | None] = None
    """The file in /opt/ml/output whose text becomes part of the FailureReason when a command fails."""

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
    stages: list[tuple[Stage, datetime]] = field(default_factory=list)
    """The job's phases so far, each with its start."""
    wake: threading.Condition = field(default_factory=threading.Condition, repr=False)
    """Guards every field, and is notified when the job's runner has something to look at."""

    def __post_init__(self) -> None:
        self.modified = self.created
        self.tags = {tag["Key"]: tag["Value"] for tag in self.request.get("Tags", [])}
        self.enter(Stage.STARTING)

    @classmethod
    @abstractmethod
    def check(cls, request: Mapping[str, Any]) -> None:
        """Check the rules across a request's fields.

        Raises:
            ServiceError: ValidationException with every broken rule.
        """

    @classmethod
    def not_found(cls, name: str) -> str:
        """Return the service's message for a job that doesn't exist."""
        return f"Could not find requested job with name: {name}"

    # The meaning of the request's fields

    @property
    def name(self) -> str:
        """The job's name, unique among those of its kind in an account and region."""
        return str(self.request[f"{self.kind}JobName"])

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:{self.kind.lower()}-job/{self.name}"

    @property
    def role(self) -> str:
        """The ARN of the role that it runs as."""
        return str(self.request["RoleArn"])

    @property
    @abstractmethod
    def resources(self) -> Mapping[str, Any]:
        """The request's ClusterConfig or ResourceConfig."""

    @property
    def cluster(self) -> dict[str, Any]:
        """Return the resources, with the first of the preferred instance types selected."""
        cluster = dict(self.resources)
        if preferences := cluster.get("InstancePreferences"):
            cluster["SelectedInstanceType"] = preferences[0]["InstanceType"]
            cluster["SelectedInstanceCount"] = preferences[0].get("InstanceCount", cluster.get("InstanceCount"))
        return cluster

    @property
    def instance_count(self) -> int:
        """How many hosts run the command."""
        return int(self.cluster.get("SelectedInstanceCount") or self.cluster.get("InstanceCount", _DEFAULT_COUNT))

    @property
    def instance_type(self) -> str:
        """The type of each host, such as ml.m5.xlarge."""
        return str(self.cluster.get("SelectedInstanceType") or self.cluster["InstanceType"])

    @property
    def max_runtime(self) -> int | None:
        """The number of seconds that the commands may take; None for no limit."""
        limit: int | None = self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        return limit

    @property
    def is_isolated(self) -> bool:
        """Whether the container should have no network."""
        return bool(self.request.get("NetworkConfig", self.request).get("EnableNetworkIsolation"))

    @property
    def log_group(self) -> str:
        """The log group of its kind."""
        return f"/aws/sagemaker/{self.kind}Jobs"

    # What the container finds

    @property
    @abstractmethod
    def image_uri(self) -> str:
        """The image whose Python runs the command."""

    @property
    def program(self) -> str | None:
        """The program of AWS's images that the command needs, if any."""
        return None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that each host runs."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables beyond those of every container."""
        return dict(self.request.get("Environment", {}))

    @abstractmethod
    def config_files(self, place: Place) -> dict[str, Mapping[str, Any]]:
        """Return the content of one host's JSON files below /opt/ml, by path."""

    @abstractmethod
    def sources(self) -> list[Source]:
        """Return the data to download before the commands start."""

    @abstractmethod
    def targets(self) -> list[Target]:
        """Return the folders to upload."""

    def remarks(self) -> list[str]:
        """Return remarks on fields of the request that have no effect here."""
        return []

    def note_output(self, lines: Sequence[str]) -> None:  # noqa: B027  # most jobs don't need it
        """Handle lines that the commands print."""

    # The job's state

    def enter(self, stage: Stage) -> None:
        """Begin a phase."""
        with self.wake:
            if not self.stages or self.stages[-1][0] is not stage:
                self.stages.append((stage, datetime.now(timezone.utc)))

    def start(self) -> bool:
        """Set the start time, unless the job is already being stopped; return whether it was set."""
        with self.wake:
            if self.status is not Status.IN_PROGRESS:
                return False
            self.started = self.modified = datetime.now(timezone.utc)
            return True

    def stop(self) -> None:
        """Request the job's end; another request changes nothing.

        Raises:
            ServiceError: ValidationException, when the job has ended, as the service does for training jobs.
        """
        with self.wake:
            if self.status.is_terminal:
                raise validation_error(
                    f"The request was rejected because the {self.kind.lower()} job is in status {self.status.value}."
                )
            if self.status is Status.IN_PROGRESS:
                self.status = Status.STOPPING
                self.modified = datetime.now(timezone.utc)
                self.enter(Stage.STOPPING)
                self.wake.notify_all()

    @abstractmethod
    def run_out(self) -> str | None:
        """Return the FailureReason of a job that was stopped because its time ran out."""

    def end(self, status: Status, *, failure_reason: str | None = None, exit_message: str | None = None) -> None:
        """Set the terminal status; a reason or message is cut at the model's length."""
        with self.wake:
            self.status = status
            self.failure_reason = failure_reason
            self.exit_message = exit_message
            self.ended = self.modified = datetime.now(timezone.utc)
            self.wake.notify_all()

    def describe(self) -> dict[str, Any]:
        """Return Describe's response, without absent fields, as the service does."""
        with self.wake:
            described = {name: value for name, value in self.request.items() if name not in _NOT_DESCRIBED}
            described |= self.summary() | self.details()
            return {name: value for name, value in described.items() if value is not None}

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Return the fields of Describe's response that are neither in the request nor in the summary."""

    def summary(self) -> dict[str, Any]:
        """Return the job's entry in List's response."""
        with self.wake:
            fields = {
                f"{self.kind}JobName": self.name,
                f"{self.kind}JobArn": self.arn,
                f"{self.kind}JobStatus": self.status.value,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                f"{self.kind}EndTime": self.ended,
                **self.summary_details(),
            }
            return {name: value for name, value in fields.items() if value is not None}

    @abstractmethod
    def summary_details(self) -> dict[str, Any]:
        """Return the fields of List's response that only this kind has."""


class Jobs:
    """The jobs of one kind, account and region."""

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

    def get(self, name: str, kind: type[Job]) -> Job:
        """Return the job of this name.

        Raises:
            ServiceError: ValidationException when there is none. The model declares ResourceNotFound, but callers of
                the service report this error, and the amazon provider's operator relies on it:
                https://github.com/apache/airflow/pull/27456 https://github.com/aws/aws-sdk/issues/165
        """
        job = self.find(name)
        if job is None:
            raise validation_error(kind.not_found(name))
        return job

    def delete(self, name: str, kind: type[Job]) -> None:
        """Forget an ended job and free its name.

        Raises:
            ServiceError: ResourceNotFound, which the model declares and no report contradicts, or ResourceInUse
                when the job hasn't ended.
        """
        job = self.find(name)
        if job is None:
            raise ServiceError("ResourceNotFound", kind.not_found(name))
        if not job.status.is_terminal:
            message = f"{kind.kind} job {job.arn} is {job.status.value}. Only an ended job can be deleted."
            raise ServiceError("ResourceInUse", message)
        with self._lock:
            self._jobs.pop(name, None)

    def all(self) -> list[Job]:
        """Return every job, oldest first."""
        with self._lock:
            return list(self._jobs.values())
