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
