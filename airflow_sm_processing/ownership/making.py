"""Makes a job of a given name that says whose it is."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobNameInUseError,
    JobRejectedError,
    TransientError,
    UploadError,
)
from airflow_sm_processing.ownership.tagging import forbids_tags, with_owner_tags
from airflow_sm_processing.processing.aws_errors import is_pressure
from airflow_sm_processing.processing.creation import create_job
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.submission import checked_plan, upload_files
from airflow_sm_processing.processing.waiting import Patience, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.plan import SubmissionPlan
    from airflow_sm_processing.processing.session import Session

__all__ = ["JobMaker"]

log = logging.getLogger(__name__)


class JobMaker:
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
        self._definition = definition
        self._session = session
        self._upload_key = upload_key
        self._max_transient_seconds = max_transient_seconds
        self._may_create = may_create
        self._sleep = sleep
        self._tags_are_forbidden = False
        self.unanswered: str | None = None
        """The name of a job that was asked for and never refused: there may be one."""

    def make(self, name: str, tags: Mapping[str, str], *, repeated: bool) -> ProcessingJob:
        """Upload what is local, and create the job.

        Args:
            name: The job's.
            tags: Its owner's, which go beside the user's; without them where a policy forbids it.
            repeated: Whether an earlier try may have uploaded some of it.
        """
        plan = self._uploaded(name, tags, repeated=repeated)
        arn = self._created(plan)
        log.info("Created processing job %s", name)
        return ProcessingJob.submitted(self._session, plan, arn, output_kms_key=self._definition.output_kms_key)

    def _uploaded(self, name: str, tags: Mapping[str, str], *, repeated: bool) -> SubmissionPlan:
        """Resolve the definition and upload what is local, through lost connections and 5xx."""
        patience = Patience(self._max_transient_seconds)
        while True:
            try:
                plan = self._plan(name, tags)
                upload_files(plan, self._definition, self._session, repeated=repeated)
            except UploadError as error:
                if not error.may_pass:
                    raise
                patience.bear(error)
            except TransientError as error:
                if is_pressure(error):
                    raise
                patience.bear(error)
            else:
                return plan
            repeated = True
            self._sleep(pause())

    def _plan(self, name: str, tags: Mapping[str, str]) -> SubmissionPlan:
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
            log.warning("%s The job goes without its owner's tags.", error)
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
