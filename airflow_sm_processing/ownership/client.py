"""The AWS calls of ownership: read the jobs that have an owner's names, and create one with a given name."""

from __future__ import annotations

import dataclasses
import logging
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobNameInUseError,
    JobNotFoundError,
    JobRejectedError,
    TransientError,
    UploadError,
)
from airflow_sm_processing.ownership.owner import forbids_tags, with_owner_tags
from airflow_sm_processing.processing.aws_calls import (
    RetryBudget,
    answer_read,
    aws_call,
    is_pressure,
    jittered,
    new_token,
    readable,
    retry,
    retrying,
    summaries,
)
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.submission import checked_plan, create_job, log_image, upload_files, with_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.request import SubmissionPlan
    from airflow_sm_processing.processing.session import Session


__all__ = ["Account", "JobCreator"]


log = logging.getLogger(__name__)

_T = TypeVar("_T")
_PAUSE = 5.0  # between two looks at a job that is stopping: that takes it up to some minutes
_STOP_SECONDS = 1800.0


class Account:
    """Asks until there is an answer: transient errors are retried for a bounded time."""

    def __init__(
        self, session: Session, *, max_transient_seconds: float = 0.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.session = session
        self._max_transient_seconds = max_transient_seconds
        self._sleep = sleep

    def description(self, job_name: str) -> JobDescription | None:
        """Return a job as it is now; None if there is none of that name."""
        try:
            return self._answered(self._job(job_name).description)
        except JobNotFoundError:
            return None

    def tags(self, job_arn: str) -> dict[str, str] | None:
        """Return a job's tags; None if they may not be read."""

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
        """Return the names of the last jobs that have the text in their names; None if jobs may not be listed."""

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
        """Stop a job, and return it as it is when it has ended.

        Raises:
            TransientError: It has not ended after half an hour.
        """
        job = self._job(job_name)
        try:
            self._answered(job.stop)
        except JobNotFoundError:
            return None
        budget = RetryBudget(_STOP_SECONDS)
        while True:
            description = self.description(job_name)
            if description is None or description.status.is_terminal:
                return description
            message = f"Processing job {job_name} is {description.status.value}, and its successor waits for its end."
            budget.spend(TransientError(message, operation="StopProcessingJob", code="Stopping"))
            self._sleep(jittered(_PAUSE))

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
        return retry(ask, max_seconds=self._max_transient_seconds, sleep=self._sleep)


def _upload_may_pass(error: BaseException) -> bool:
    """Return whether to upload again; the claim answers throttling and quotas."""
    if isinstance(error, UploadError):
        return error.may_pass
    return isinstance(error, TransientError) and not is_pressure(error)


class JobCreator:
    """Makes jobs of one definition."""

    def __init__(
        self,
        definition: JobDefinition,
        session: Session,
        *,
        upload_key: str,
        max_transient_seconds: float,
        may_create: Callable[[], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._given = definition
        self._session = session
        self._upload_key = upload_key
        self._max_transient_seconds = max_transient_seconds
        self._may_create = may_create
        self._sleep = sleep
        self._tags_are_forbidden = False
        self._image_is_logged = False
        self.unanswered: str | None = None
        """The name of a job that was asked for and never refused: there may be one."""

    @cached_property
    def _definition(self) -> JobDefinition:
        """The definition with the session's defaults, which an existing job needs no more."""
        return with_defaults(self._given, self._session)

    def make(self, name: str, tags: Mapping[str, str], *, repeated: bool) -> ProcessingJob:
        """Upload what is local, and create the job.

        Args:
            name: The job's.
            tags: Its owner's, which go beside the user's; without them where a policy forbids it.
            repeated: Whether an earlier try may have uploaded some of it.
        """
        plan = self._uploaded(name, tags, repeated=repeated)
        if not self._image_is_logged:
            log_image(self._definition, self._session)
            self._image_is_logged = True
        arn = self._created(plan)
        log.info("Created processing job %s", name)
        return ProcessingJob.submitted(self._session, plan, arn, output_kms_key=self._definition.output_kms_key)

    def _uploaded(self, name: str, tags: Mapping[str, str], *, repeated: bool) -> SubmissionPlan:
        """Resolve the definition and upload what is local, through lost connections and 5xx."""
        uploads = 0

        def upload() -> SubmissionPlan:
            nonlocal uploads
            uploads += 1
            with self._plan(name, tags) as plan:
                upload_files(plan, self._definition, self._session, repeated=repeated or uploads > 1)
            return plan

        tries = retrying(RetryBudget(self._max_transient_seconds), retry_if=_upload_may_pass, sleep=self._sleep)
        return tries(upload)

    def _plan(self, name: str, tags: Mapping[str, str]) -> AbstractContextManager[SubmissionPlan]:
        operation = self._session.sagemaker_client.meta.service_model.operation_model("CreateProcessingJob")
        all_tags = with_owner_tags(self._definition.tags, {} if self._tags_are_forbidden else tags, operation)
        named = dataclasses.replace(self._definition, job_name=name, tags=all_tags or None)
        return checked_plan(named, self._session, upload_key=self._upload_key)

    def _created(self, plan: SubmissionPlan) -> str:
        try:
            return self._call(plan)
        except (AccessDeniedError, JobRejectedError) as error:
            if self._tags_are_forbidden or not forbids_tags(error):
                raise
            log.warning("%s Creating the job without owner tags.", error)
            self._tags_are_forbidden = True
        users = [dict(tag) for tag in self._definition.tags or ()]
        request = {key: value for key, value in plan.request.items() if key != "Tags"}
        return self._call(dataclasses.replace(plan, request={**request, "Tags": users} if users else request))

    def _call(self, plan: SubmissionPlan) -> str:
        self._may_create()
        self.unanswered = plan.job_name
        try:
            return create_job(
                self._session.sagemaker_client,
                plan.request,
                own_name=False,
                max_transient_seconds=self._max_transient_seconds,
                max_pressure_seconds=0.0,
                sleep=self._sleep_then_ask,
            )
        except (AccessDeniedError, JobNameInUseError, JobRejectedError):
            self.unanswered = None
            raise

    def _sleep_then_ask(self, seconds: float) -> None:
        self._sleep(seconds)
        self._may_create()
