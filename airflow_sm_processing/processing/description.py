"""Parse DescribeProcessingJob's response once, including what the job's status means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.aws_calls import in_utc, readable
from airflow_sm_processing.processing.environment import whole
from airflow_sm_processing.processing.models import ProcessingInput, ProcessingOutput, output_uris
from airflow_sm_processing.redaction import storable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_sm_processing.processing.secrets import JobSecrets


__all__ = ["REQUEST_PARAMETERS", "JobDescription", "JobStatus"]


class JobStatus(str, Enum):
    """The values of SageMaker's ProcessingJobStatus."""

    IN_PROGRESS = "InProgress"
    """Queued, starting, running, or uploading outputs."""
    STOPPING = "Stopping"
    """A stop was asked for; outputs may still be uploaded."""
    STOPPED = "Stopped"
    """Ended by a stop or by MaxRuntimeInSeconds; outputs may be partial."""
    COMPLETED = "Completed"
    """Ended in success; outputs are in S3."""
    FAILED = "Failed"
    """Ended by the script's exit code, or by an error of the service."""

    @classmethod
    def _missing_(cls, value: object) -> JobStatus | None:
        """Return an object for a status that the service has added since this version; it doesn't count as an end."""
        if not isinstance(value, str):
            return None
        status = str.__new__(cls, value)
        status._name_ = f"UNKNOWN_{value}"
        status._value_ = value
        return status

    @property
    def is_known(self) -> bool:
        """Whether this version knows the status."""
        return self.value in JobStatus._value2member_map_

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self in _TERMINAL

    @property
    def is_success(self) -> bool:
        """Whether the job ended as its author meant it to."""
        return self is JobStatus.COMPLETED

    def __str__(self) -> str:
        return self.value


_TERMINAL = frozenset({JobStatus.STOPPED, JobStatus.COMPLETED, JobStatus.FAILED})

REQUEST_PARAMETERS = (
    "ProcessingJobName",
    "RoleArn",
    "AppSpecification",
    "ProcessingResources",
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "Environment",
    "NetworkConfig",
    "StoppingCondition",
    "ExperimentConfig",
)
"""The parameters of CreateProcessingJob that DescribeProcessingJob returns: all except the tags."""
_REQUIRED = ("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus")
_STATUS = re.compile("[A-Za-z]{1,64}")  # one of `JobStatus`, or of a later version of the service
_EXIT_CODE = re.compile(r"exit code: (\d+)")
_SELECTED = "Selected"  # the prefix of the members that SageMaker adds to the cluster of a job with preferences


@dataclass(frozen=True, kw_only=True)
class JobDescription:
    """A processing job as SageMaker describes it at one moment."""

    job_name: str
    job_arn: str
    status: JobStatus
    inputs: tuple[ProcessingInput, ...] = ()
    outputs: tuple[ProcessingOutput, ...] = ()
    output_kms_key: str | None = None
    failure_reason: str | None = None
    exit_message: str | None = None
    """What the script wrote to `/opt/ml/output/message`, at most 1 KB; characters not allowed in XComs are escaped."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    """When the instances were up and the container started; None for a job that never did."""
    ended_at: datetime | None = None
    instance_type: str | None = None
    """The selected type where there were preferences."""
    instance_count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The container's environment variables, including secrets."""
    request: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The job's CreateProcessingJob parameters, including secrets, but without tags."""

    def without(self, secrets: JobSecrets) -> JobDescription:
        """Return the description with the environment's values and `secrets` hidden in the texts from the script."""
        secrets.learn(self.environment)
        reason, message = self.failure_reason, self.exit_message
        return replace(
            self,
            failure_reason=reason and secrets.hide_truncated(reason),
            exit_message=message and secrets.hide_truncated(message),
        )

    @classmethod
    def from_response(cls, response: Mapping[str, Any]) -> JobDescription:
        """Read a DescribeProcessingJob response."""
        output_config = response.get("ProcessingOutputConfig") or {}
        cluster = response.get("ProcessingResources", {}).get("ClusterConfig", {})
        return cls(
            job_name=response["ProcessingJobName"],
            job_arn=response["ProcessingJobArn"],
            status=JobStatus(response["ProcessingJobStatus"]),
            inputs=tuple(ProcessingInput.from_boto(item) for item in response.get("ProcessingInputs") or ()),
            outputs=tuple(ProcessingOutput.from_boto(item) for item in output_config.get("Outputs") or ()),
            output_kms_key=output_config.get("KmsKeyId"),
            failure_reason=storable(response.get("FailureReason")),
            exit_message=storable(response.get("ExitMessage")),
            created_at=in_utc(response.get("CreationTime")),
            started_at=in_utc(response.get("ProcessingStartTime")),
            ended_at=in_utc(response.get("ProcessingEndTime")),
            instance_type=cluster.get("SelectedInstanceType") or cluster.get("InstanceType"),
            instance_count=cluster.get("SelectedInstanceCount") or cluster.get("InstanceCount") or 1,
            environment=whole(response.get("Environment") or {}),
            request=_request(response),
        )

    @classmethod
    def of_job(cls, job_name: str, response: Mapping[str, Any], client: Any) -> JobDescription:
        """Read a client's response about a job; call it within `answer_read`.

        Raises:
            ValueError: The response can't be read, or is about another job.
        """
        readable(client, "DescribeProcessingJob", response, *_REQUIRED)
        named = response["ProcessingJobName"]
        if named.lower() != job_name.lower():  # an ARN has the name in lower case
            raise ValueError(f"it is about another job, {named}")
        if not _STATUS.fullmatch(response["ProcessingJobStatus"]):
            raise ValueError("its ProcessingJobStatus is no word")
        return cls.from_response(response)

    @property
    def output_uris(self) -> dict[str, str]:
        """The S3 URI of each output that has one, by output name."""
        return output_uris(self.outputs)

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from the container's start to the job's end; None before the end, or if it never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container's command, from the end of FailureReason; None if it isn't there."""
        told = _EXIT_CODE.findall(self.failure_reason or "")
        return int(told[-1]) if told else None

    @property
    def instance_seconds(self) -> float | None:
        """The total seconds of all instances, which AWS bills; None if unknown."""
        if self.instance_type is None:  # an older boto3 doesn't return which of the preferred types was selected
            return None
        return None if self.duration_seconds is None else self.duration_seconds * self.instance_count


def _request(response: Mapping[str, Any]) -> dict[str, Any]:
    request = {name: response[name] for name in REQUEST_PARAMETERS if name in response}
    resources = request.get("ProcessingResources")
    if resources is None:
        return request
    cluster = {
        name: value for name, value in resources.get("ClusterConfig", {}).items() if not name.startswith(_SELECTED)
    }
    return {**request, "ProcessingResources": {**resources, "ClusterConfig": cluster}}
