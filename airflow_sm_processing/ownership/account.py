"""What is asked of an account about the jobs that bear an owner's names."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_sm_processing.exceptions import AccessDeniedError, JobNotFoundError, TransientError
from airflow_sm_processing.processing.answers import new_token, readable, summaries
from airflow_sm_processing.processing.aws_errors import answer_read, aws_call
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.waiting import Patience, patiently

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.session import Session

__all__ = ["Account"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_PAUSE = 5.0  # between two looks at a job that is stopping: that takes it up to some minutes
_STOP_SECONDS = 1800.0


class Account:
    """Asks until there is an answer: what passes is borne for a bounded time."""

    def __init__(
        self, session: Session, *, max_transient_seconds: float = 0.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.session = session
        self._max_transient_seconds = max_transient_seconds
        self._sleep = sleep

    def description(self, job_name: str) -> JobDescription | None:
        """Give a job as it is now; None if there is none of that name."""
        try:
            return self._answered(self._job(job_name).description)
        except JobNotFoundError:
            return None

    def tags(self, job_arn: str) -> dict[str, str] | None:
        """Give a job's tags; None if they may not be read."""

        def ask() -> dict[str, str]:
            client = self.session.sagemaker_client
            tags: dict[str, str] = {}
            seen: set[str] = set()
            request: dict[str, Any] = {"ResourceArn": job_arn}
            while True:
                with aws_call("ListTags", job_arn):
                    page = client.list_tags(**request)
                with answer_read("ListTags", job_arn):
                    readable(client, "ListTags", page, "Tags")
                    tags |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
                    request["NextToken"] = new_token(page.get("NextToken"), seen)
                if request["NextToken"] is None:
                    return tags

        try:
            return self._answered(ask)
        except JobNotFoundError:
            return {}
        except AccessDeniedError as error:
            log.warning("%s Without sagemaker:ListTags a job's name and time alone say whose it is.", error)
            return None

    def names_with(self, text: str) -> list[str] | None:
        """Give the names of the last jobs that have the text in their names; None if jobs may not be listed."""

        def ask() -> list[str]:
            client = self.session.sagemaker_client
            with aws_call("ListProcessingJobs", text):
                answer = client.list_processing_jobs(NameContains=text, SortBy="CreationTime", SortOrder="Descending")
            with answer_read("ListProcessingJobs", text):
                return [summary["ProcessingJobName"] for summary in summaries(client, answer)]

        try:
            return self._answered(ask)
        except AccessDeniedError as error:
            log.warning("%s Without sagemaker:ListProcessingJobs, jobs of earlier tries are found by name.", error)
            return None

    def end(self, job_name: str) -> JobDescription | None:
        """Stop a job, and give it as it is when it has ended.

        Raises:
            TransientError: It has not ended after half an hour.
        """
        job = self._job(job_name)
        try:
            self._answered(job.stop)
        except JobNotFoundError:
            return None
        patience = Patience(_STOP_SECONDS)
        while True:
            description = self.description(job_name)
            if description is None or description.status.is_terminal:
                return description
            message = f"Processing job {job_name} is {description.status.value}, and its successor waits for its end."
            patience.bear(TransientError(message, operation="StopProcessingJob", code="Stopping"))
            self._sleep(_PAUSE * random.uniform(0.9, 1.1))  # noqa: S311  # spreads calls, hides nothing

    @property
    def can_delete(self) -> bool:
        """Whether the installed boto3 knows DeleteProcessingJob."""
        return hasattr(self.session.sagemaker_client, "delete_processing_job")

    def delete(self, job_name: str) -> None:
        """Delete the record of a job that has ended, which frees its name; ask `can_delete` first."""

        def ask() -> None:
            with aws_call("DeleteProcessingJob", job_name):
                self.session.sagemaker_client.delete_processing_job(ProcessingJobName=job_name)

        try:
            self._answered(ask)
        except JobNotFoundError:
            log.info("Processing job %s was deleted already.", job_name)

    def _job(self, job_name: str) -> ProcessingJob:
        return ProcessingJob(self.session, job_name, inputs=None, outputs=None)

    def _answered(self, ask: Callable[[], _T]) -> _T:
        return patiently(ask, max_transient_seconds=self._max_transient_seconds, sleep=self._sleep)
