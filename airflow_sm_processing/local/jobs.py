"""A job as the service sees it, of either kind, and all jobs of a kind by name.

What differs between the kinds is described by the subclasses in `processing.py` and `training.py`: what of the request
means what, and what the container finds. One runner runs them all.
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

# Of the request, Describe gives back all but these; ListTags gives the tags.
_NOT_DESCRIBED = frozenset({"Tags"})
_DEFAULT_COUNT = 1  # of InstanceCount, as the API reference says


class Status(str, Enum):
    """ProcessingJobStatus and TrainingJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self in {Status.STOPPED, Status.COMPLETED, Status.FAILED}


class Stage(str, Enum):
    """What is being done for a job, as a training job's SecondaryStatus names it."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    RUNNING = "Training"
    STOPPING = "Stopping"
    UPLOADING = "Uploading"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a job's hosts get from S3 before their commands start."""

    uri: str
    path: str
    """The container's folder that it is for."""
    is_manifest: bool = False
    is_sharded: bool = False
    """Whether each host gets its share of the objects, instead of all."""
    is_optional: bool = False
    """Whether nothing may be there."""
    is_looked_for: bool = False
    """Whether a job is refused at once if nothing is there."""
    is_object: bool = False
    """Whether the URI is one object's, and no prefix."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A folder of each host whose content goes to S3."""

    uri: str
    """A prefix, or of an archive the object."""
    path: str
    """The container's folder."""
    is_archive: bool = False
    """Whether the folders of all hosts become one gzipped tar file."""
    is_continuous: bool = False
    """Whether it is uploaded while the commands run, and then however the job ends."""
    is_restored: bool = False
    """Whether what is there before the commands start came from the same place."""
    kms_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one host is among a job's hosts."""

    host: str
    hosts: Sequence[str]
    interface: str
    """The network interface by which they reach each other."""


@dataclass(eq=False)
class Job(ABC):
    """One job: what was asked for, and what became of it."""

    kind: ClassVar[str]
    """The word in the API's names, such as Processing in CreateProcessingJob."""
    fixed_folders: ClassVar[Sequence[str]]
    """What the container has below /opt/ml, whatever was asked for."""
    message_file: ClassVar[str | None] = None
    """The file in /opt/ml/output that becomes the ExitMessage."""
    failure_file: ClassVar[str | None] = None
    """The file in /opt/ml/output that says in the FailureReason why a command failed."""

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
    """What was done for the job, and from when on."""
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
        """Return what the service says of a job that there isn't."""
        return f"Could not find requested job with name: {name}"

    # What of the request means what

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
        """How many seconds the commands may take; None for any."""
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
        """What of AWS's images' programs the command needs."""
        return None

    @abstractmethod
    def command(self) -> list[str]:
        """Return what each host runs."""

    def environment(self) -> dict[str, str]:
        """Return the variables that the command finds beside those of every container."""
        return dict(self.request.get("Environment", {}))

    @abstractmethod
    def config_files(self, place: Place) -> dict[str, Mapping[str, Any]]:
        """Return the content of the JSON files below /opt/ml that one host finds."""

    @abstractmethod
    def sources(self) -> list[Source]:
        """Return what is downloaded before the commands start."""

    @abstractmethod
    def targets(self) -> list[Target]:
        """Return what is uploaded."""

    def remarks(self) -> list[str]:
        """Return what of the request has no effect here."""
        return []

    def note_output(self, lines: Sequence[str]) -> None:  # noqa: B027  # most jobs aren't interested
        """Look at what the commands print."""

    # What becomes of it

    def enter(self, stage: Stage) -> None:
        """Note what is done for the job from now on."""
        with self.wake:
            if not self.stages or self.stages[-1][0] is not stage:
                self.stages.append((stage, datetime.now(timezone.utc)))

    def start(self) -> bool:
        """Set the start time, unless the job is to stop already."""
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
        """Return Describe's answer; absent fields are left out, as the service does."""
        with self.wake:
            described = {name: value for name, value in self.request.items() if name not in _NOT_DESCRIBED}
            described |= self.summary() | self.details()
            return {name: value for name, value in described.items() if value is not None}

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Return what Describe has beyond the request and the summary."""

    def summary(self) -> dict[str, Any]:
        """Return the job's entry in List's answer."""
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
        """Return what List's answer has of this kind alone."""


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
            ServiceError: ValidationException when there is none. The model declares ResourceNotFound, but this is
                what callers of the service report, and what the amazon provider's operator relies on:
                https://github.com/apache/airflow/pull/27456 https://github.com/aws/aws-sdk/issues/165
        """
        job = self.find(name)
        if job is None:
            raise validation_error(kind.not_found(name))
        return job

    def delete(self, name: str, kind: type[Job]) -> None:
        """Forget an ended job and free its name.

        Raises:
            ServiceError: ResourceNotFound, as the model has it and no report says otherwise, or ResourceInUse
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
