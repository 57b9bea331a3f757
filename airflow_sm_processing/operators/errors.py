"""Errors that Airflow treats in a way of its own."""

from __future__ import annotations

from airflow_sm_processing.airflow_compat import AirflowFailException
from airflow_sm_processing.exceptions import (
    DefinitionError,
    JobExistsError,
    ProcessingError,
    ResultFileError,
)

__all__ = ["TaskDefinitionError", "UnusableResultError", "UnwantedJobError", "WorkerShutdownError"]


class TaskDefinitionError(DefinitionError, AirflowFailException):
    """A `DefinitionError` that fails the task without a retry, which couldn't help."""

    @classmethod
    def of(cls, error: DefinitionError, *, task_id: str) -> TaskDefinitionError:
        """Return the same problems as a task's error."""
        return cls(error.problems, subject=f"task {task_id}")


class UnwantedJobError(JobExistsError, AirflowFailException):
    """A `JobExistsError` that fails the task without a retry: the job will be there then, too."""


class UnusableResultError(ResultFileError, AirflowFailException):
    """A `ResultFileError` that fails the task without a retry, which would find the same job's files."""


class WorkerShutdownError(ProcessingError):
    """A try that ends because its worker does: its job goes on, and the next try waits for it."""
