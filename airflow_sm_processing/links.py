"""A task's links to the AWS console, in Airflow's UI.

Airflow's API server reads a link only from an XCom of the task instance. So the address is pushed as soon as the job
exists, and the link works while the task is running or deferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk import BaseOperatorLink

from airflow_sm_processing.xcoms import LINK_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["JOB_LINKS", "CloudWatchLink", "ConsoleLink", "OutputsLink", "SageMakerLink"]


class ConsoleLink(BaseOperatorLink):
    """A link to one of the AWS console's pages of a task's job."""

    page: ClassVar[str]
    """The page's title in `ProcessingJob.links`."""

    @property
    def xcom_key(self) -> str:
        """The key of the XCom with the address; outputs can't have this name."""
        return LINK_KEYS[self.page]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the address that the task pushed; an empty string if it has no job, or one on a local endpoint."""
        from airflow_sm_processing.xcoms import xcom_if_any

        return xcom_if_any(ti_key, self.xcom_key) or ""


class SageMakerLink(ConsoleLink):
    """The job's own page."""

    name = "SageMaker console"
    page = "Job"


class CloudWatchLink(ConsoleLink):
    """The job's log streams."""

    name = "CloudWatch logs"
    page = "Logs"


class OutputsLink(ConsoleLink):
    """The folder that the job's outputs have in common."""

    name = "Outputs in S3"
    page = "Outputs"


JOB_LINKS: Collection[ConsoleLink] = (SageMakerLink(), CloudWatchLink(), OutputsLink())
"""The links of a task that calls `xcoms.push_links`."""
