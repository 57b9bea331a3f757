"""How a function's task fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.airflow_compat import AirflowFailException  # only a running task loads this
from airflow_sm_processing.decorators.results import Raised
from airflow_sm_processing.exceptions import JobFailedError, ProcessingError
from airflow_sm_processing.printable import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FunctionFailedError", "FunctionRefusedError", "UnusableReturnError"]


class FunctionFailedError(JobFailedError):
    """The function raised, in its container; `raised` has the type, the text and the traceback."""

    raised: Raised

    @classmethod
    def of(
        cls, error: JobFailedError, raised: Raised, *, function: str, hide: Callable[[str], str]
    ) -> FunctionFailedError:
        """Give the error of a failed job as its function's.

        Args:
            error: The job's.
            raised: What the container left.
            function: The function's name.
            hide: Takes out of a text what must not be shown.
        """
        new = cls.__new__(cls)
        shown = Raised._make(hide(item) if isinstance(item, str) else item for item in raised)
        new.__dict__.update(error.__dict__, raised=shown)
        lines = [
            f"{function} raised {one_line(shown.type)} on {one_line(shown.host)} of processing job {error.job_name}.",
            *(f"    {printable(line)}" for line in shown.traceback.splitlines()),
            *(f"  {title}: {url}" for title, url in error.links.items()),
        ]
        ProcessingError.__init__(new, "\n".join(lines))
        return new


class FunctionRefusedError(FunctionFailedError, AirflowFailException):
    """The function ended with an exit code that the task takes for a reason not to retry."""


class UnusableReturnError(ProcessingError, AirflowFailException):
    """The job completed, and what the function returned can't be the task's result: a retry would find the same."""
