"""From a definition to a job: check, upload, create."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_sm_processing.processing.creation import create_job
from airflow_sm_processing.processing.plan import SubmissionPlan, plan_submission
from airflow_sm_processing.processing.s3_folders import with_folders
from airflow_sm_processing.processing.s3_uris import S3Location, join
from airflow_sm_processing.processing.validation import check_definition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_sm_processing.exceptions import Problem
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.plan import KeyMaker
    from airflow_sm_processing.processing.session import Session

__all__ = ["SubmittedJob", "checked_plan", "submit", "upload_files"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SubmittedJob:
    """What CreateProcessingJob answered, and to what."""

    plan: SubmissionPlan
    job_arn: str


def submit(
    definition: JobDefinition,
    session: Session,
    *,
    extra_problems: Iterable[Problem] = (),
    upload_key: str | None = None,
    repeated: bool = False,
    max_transient_seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> SubmittedJob:
    """Check the definition, upload its local files and create the job, in that order.

    Args:
        definition: What the user defined.
        session: Where to.
        extra_problems: Reported along with the definition's own.
        upload_key: See `plan_submission`.
        repeated: See `upload_files`.
        max_transient_seconds: See `create_job`.
        sleep: Waits so many seconds; what it raises ends the submission.

    Raises:
        DefinitionError: Something is wrong with the definition; nothing was uploaded.
        UploadError: A local file didn't reach S3; no job was created.
        ServiceError: AWS refused or couldn't be reached.
    """
    plan = checked_plan(definition, session, extra_problems=extra_problems, upload_key=upload_key)
    upload_files(plan, definition, session, repeated=repeated)
    arn = create_job(
        session.sagemaker_client,
        plan.request,
        own_name=definition.job_name is None,
        max_transient_seconds=max_transient_seconds,
        sleep=sleep,
    )
    log.info("Created processing job %s", plan.job_name)
    return SubmittedJob(plan, arn)


def checked_plan(
    definition: JobDefinition,
    session: Session,
    *,
    extra_problems: Iterable[Problem] = (),
    upload_key: str | None = None,
) -> SubmissionPlan:
    """Check the definition, and resolve it to a request and to uploads.

    Raises:
        DefinitionError: Every problem that the definition has.
        UploadError: With an `upload_key`, a local file can't be read.
        ServiceError: A role's or a bucket's name couldn't be resolved.
    """
    operation = session.sagemaker_client.meta.service_model.operation_model("CreateProcessingJob")
    check_definition(definition, operation, extra=extra_problems)
    role_arn = session.expand_role(str(definition.role))
    definition = with_folders(definition, session)
    return plan_submission(definition, role_arn=role_arn, key=_keys_of(session), upload_key=upload_key)


def upload_files(plan: SubmissionPlan, definition: JobDefinition, session: Session, *, repeated: bool = False) -> None:
    """Upload the plan's local files.

    Args:
        plan: What the definition was resolved to. The job's request must be this plan's, or one that was made and
            uploaded anew: with an `upload_key`, files that have changed since have other keys.
        definition: What the user defined.
        session: Where to.
        repeated: Whether some of it may be there, under the plan's `upload_key`: that isn't sent again.

    Raises:
        UploadError: One didn't reach S3, or has changed since the plan was made with an `upload_key`.
    """
    from airflow_sm_processing.processing.uploads import upload

    for item in plan.uploads:
        bucket, key_prefix = S3Location.parse(item.s3_uri)
        upload(
            item.path,
            bucket=bucket,
            key_prefix=key_prefix,
            s3_client=session.s3_client,
            boto_session=session.boto_session,
            verify=session.verify,
            content=item.content,
            repeated=repeated,
            kms_key=definition.kms_key,
            expected_bucket_owner=session.default_bucket_owner,
        )


def _keys_of(session: Session) -> KeyMaker:
    """Give the maker of keys in the session's default bucket, which is created when the first key is asked for."""

    def make(*parts: str) -> str:
        return join(session.default_bucket(), session.default_bucket_prefix, *parts)

    return make
