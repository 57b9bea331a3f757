"""One truth for what a job's status means."""

from __future__ import annotations

from enum import Enum

__all__ = ["JobStatus"]


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
        """Return a status that the service has learnt since this version: no member, and nothing that ends a job."""
        if not isinstance(value, str):
            return None
        status = str.__new__(cls, value)
        status._name_ = f"UNKNOWN_{value}"
        status._value_ = value
        return status

    @property
    def is_known(self) -> bool:
        """Whether this version knows what the status means."""
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
