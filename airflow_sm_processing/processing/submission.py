"""Submit a job: validate, upload, and call CreateProcessingJob so that a retry can't create a second job."""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    DefinitionError,
    JobNameInUseError,
    JobRejectedError,
    TransientError,
    UploadError,
)
from airflow_sm_processing.processing.aws_calls import (
    RetryBudget,
    answer_read,
    aws_call,
    error_of,
    is_pressure,
    readable,
    retrying,
)
from airflow_sm_processing.processing.definition import (
    image_line,
    missing_code_problems,
    with_code_below,
    with_image,
)
from airflow_sm_processing.processing.models import S3Location, join
from airflow_sm_processing.processing.request import SubmissionPlan, plan_submission, with_extra_tags
from airflow_sm_processing.processing.s3 import objects_below, with_folders
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.processing.validation import check_definition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mypy_boto3_sagemaker import SageMakerClient
    from tenacity import RetryCallState

    from airflow_sm_processing.exceptions import Problem, ProcessingError
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.request import KeyGenerator
    from airflow_sm_processing.processing.session import Session


__all__ = ["JobCreator", "SubmittedJob", "create_job", "submit", "with_defaults"]


log = logging.getLogger(__name__)

_LONGEST_PAUSE = 30.0
_NOT_DESCRIBED = frozenset({"Tags"})  # DescribeProcessingJob doesn't give them


def create_job(
    client: SageMakerClient,
    request: dict[str, Any],
    *,
    own_name: bool,
    max_transient_seconds: float = 0.0,
    max_pressure_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Create the job and return its ARN.

    Args:
        client: Where to.
        request: CreateProcessingJob's parameters.
        own_name: Whether the job's name was generated. If a call was tried again, by botocore or here, a job of that
            name and with that very request is taken for the one that an earlier try made, whose answer was lost.
        max_transient_seconds: How long to retry 5xx errors and lost connections, in seconds.
        max_pressure_seconds: How long throttling, quotas and missing capacity are; as long as the rest if None.
        sleep: Waits so many seconds.

    Raises:
        JobRejectedError: SageMaker refused for a reason that no retry mends.
        JobNameInUseError: Another job has the name.
        ServiceError: AWS refused or couldn't be reached.
    """
    name = request["ProcessingJobName"]
    secrets = JobSecrets(request.get("Environment"))
    budget = RetryBudget(max_transient_seconds)
    under_pressure = budget if max_pressure_seconds is None else RetryBudget(max_pressure_seconds)

    def stop(state: RetryCallState) -> bool:
        error = error_of(state)
        return (under_pressure if isinstance(error, TransientError) and is_pressure(error) else budget)(state)

    tries = 0

    def create() -> str:
        nonlocal tries
        tries += 1
        try:
            with aws_call("CreateProcessingJob", name, hide=secrets.hide_in_refusal):
                answer = client.create_processing_job(**request)
            with answer_read("CreateProcessingJob", name):
                return str(readable(client, "CreateProcessingJob", answer, "ProcessingJobArn")["ProcessingJobArn"])
        except JobNameInUseError as error:
            arn = _arn_if_same(client, request) if own_name and (tries > 1 or _was_tried_again(error)) else None
            if arn is None:
                raise
            log.info("Processing job %s was created already; only the answer was lost.", name)
            return arn

    return retrying(stop, longest_pause=_LONGEST_PAUSE, sleep=sleep)(create)


def _was_tried_again(error: JobNameInUseError) -> bool:
    """Return whether botocore had tried the call before the answer that became this error."""
    response = getattr(error.__cause__, "response", {})
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))


def _arn_if_same(client: SageMakerClient, request: dict[str, Any]) -> str | None:
    name = request["ProcessingJobName"]
    with aws_call("DescribeProcessingJob", name):
        described = client.describe_processing_job(ProcessingJobName=name)
    with answer_read("DescribeProcessingJob", name):
        readable(client, "DescribeProcessingJob", described, "ProcessingJobName", "ProcessingJobArn")
    asked_for = {key: value for key, value in request.items() if key not in _NOT_DESCRIBED}
    return described["ProcessingJobArn"] if _contains(described, asked_for) else None


def _contains(described: Any, asked_for: Any) -> bool:
    """Return whether a description has all that was requested; SageMaker's defaults may be in it as well."""
    if isinstance(asked_for, dict):
        return isinstance(described, dict) and all(
            key in described and _contains(described[key], value) for key, value in asked_for.items()
        )
    if isinstance(asked_for, list):
        return (
            isinstance(described, list)
            and len(described) == len(asked_for)
            and all(map(_contains, described, asked_for))
        )
    return bool(described == asked_for)


@dataclass(frozen=True)
class SubmittedJob:
    """What CreateProcessingJob answered, and to what."""

    plan: SubmissionPlan
    job_arn: str
    output_kms_key: str | None


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
    definition = with_defaults(definition, session)
    with checked_plan(definition, session, extra_problems=extra_problems, upload_key=upload_key) as plan:
        log_image(definition, session)
        upload_files(plan, definition, session, repeated=repeated)
    arn = create_job(
        session.sagemaker_client,
        plan.request,
        own_name=definition.job_name is None,
        max_transient_seconds=max_transient_seconds,
        sleep=sleep,
    )
    log.info("Created processing job %s", plan.job_name)
    return SubmittedJob(plan, arn, definition.output_kms_key)


def _upload_may_pass(error: BaseException) -> bool:
    """Return whether to repeat the upload; throttling and quotas are left to the claim's caller."""
    if isinstance(error, UploadError):
        return error.may_pass
    return isinstance(error, TransientError) and not is_pressure(error)


class JobCreator:
    """Creates a job of one definition, maybe in several tries and under other names, until one was created."""

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
        """The name of a job whose creation was requested and not clearly refused, so that it may exist."""

    @cached_property
    def _definition(self) -> JobDefinition:
        """The definition with the session's defaults; cached, and not needed if a job exists already."""
        return with_defaults(self._given, self._session)

    def make(self, name: str, tags: Mapping[str, str], *, repeated: bool) -> SubmittedJob:
        """Upload local files, retrying on lost connections and 5xx errors, and create the job.

        Args:
            name: The job's name.
            tags: Added to the definition's own, the most important first; left out if a policy forbids them.
            repeated: Whether an earlier try may have uploaded some of the files.
        """
        tries = retrying(RetryBudget(self._max_transient_seconds), retry_if=_upload_may_pass, sleep=self._sleep)
        uploads = count()
        plan = tries(lambda: self._uploaded(name, tags, repeated=repeated or next(uploads) > 0))
        if not self._image_is_logged:
            log_image(self._definition, self._session)
            self._image_is_logged = True
        arn = self._created(plan)
        log.info("Created processing job %s", name)
        return SubmittedJob(plan, arn, self._definition.output_kms_key)

    def _uploaded(self, name: str, tags: Mapping[str, str], *, repeated: bool) -> SubmissionPlan:
        """Resolve the definition to a request, and upload its local files."""
        operation = self._session.sagemaker_client.meta.service_model.operation_model("CreateProcessingJob")
        all_tags = with_extra_tags(self._definition.tags, {} if self._tags_are_forbidden else tags, operation)
        named = dataclasses.replace(self._definition, job_name=name, tags=all_tags or None)
        with checked_plan(named, self._session, upload_key=self._upload_key) as plan:
            upload_files(plan, self._definition, self._session, repeated=repeated)
        return plan

    def _created(self, plan: SubmissionPlan) -> str:
        try:
            return self._call(plan)
        except (AccessDeniedError, JobRejectedError) as error:
            if self._tags_are_forbidden or not _forbids_tags(error):
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


def _forbids_tags(error: ProcessingError) -> bool:
    """Return whether CreateProcessingJob was refused because of its tags."""
    text = str(error).lower()
    return "addtags" in text or "tag polic" in text or "requesttag" in text


def with_defaults(definition: JobDefinition, session: Session) -> JobDefinition:
    """Return the definition with the session's defaults for what its author left open, and log where they are from.

    Raises:
        DefinitionError: A source of defaults can't be read.
        ServiceError: S3 has one of them, and refused or couldn't be reached.
    """
    definition, origins = session.defaults().apply(definition)
    if "env" in origins:
        session.secrets.learn(definition.env)
    for origin in dict.fromkeys(origins.values()):
        names = [name for name, other in origins.items() if other == origin]
        log.info("Defaults from %s: %s", origin, ", ".join(names))
    return definition


@contextmanager
def checked_plan(
    definition: JobDefinition,
    session: Session,
    *,
    extra_problems: Iterable[Problem] = (),
    upload_key: str | None = None,
) -> Iterator[SubmissionPlan]:
    """Check the definition, and resolve it to a request and to uploads; a clone of its repository lasts for the block.

    Raises:
        DefinitionError: Every problem that the definition has; or what its inputs have can't be in manifests.
        UploadError: With an `upload_key`, a local file can't be read; or the repository can't be cloned.
        ServiceError: A role's or a bucket's name couldn't be resolved, or inputs over the bound couldn't be listed.
    """
    operation = session.sagemaker_client.meta.service_model.operation_model("CreateProcessingJob")
    definition, of_image = with_image(definition, lambda: session.boto_region_name)
    check_definition(definition, operation, extra=[*extra_problems, *of_image])
    role_arn = session.expand_role(str(definition.role))
    definition = with_folders(definition, session)
    with _code_at_hand(definition) as local:
        if local is not definition:
            check_definition(local, operation)
        yield plan_submission(
            local,
            role_arn=role_arn,
            key=_keys_of(session),
            upload_key=upload_key,
            operation=operation,
            objects=lambda uris: objects_below(session.s3_client, uris),
        )


@contextmanager
def _code_at_hand(definition: JobDefinition) -> Iterator[JobDefinition]:
    """Clone the definition's repository for the block, and yield the definition with the clone's paths."""
    if definition.git_config is None:
        yield definition
        return
    from airflow_sm_processing.processing.repository import cloned  # few jobs have one

    repo = str(definition.git_config["repo"])
    with cloned(definition.git_config) as folder:
        missing = [*missing_code_problems(definition, folder, repo)]
        if missing:
            raise DefinitionError(missing, subject=str(definition.job_name or definition.base_job_name or "the job"))
        yield with_code_below(definition, folder)


def log_image(definition: JobDefinition, session: Session) -> None:
    """Log which image the definition's short form means, and the newest one if that is newer."""
    line = image_line(definition, lambda: session.boto_region_name)
    if line is not None:
        log.info("%s", line)


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
        # A code_location may be in anybody's bucket.
        owner = session.default_bucket_owner if bucket == session.default_bucket_name else None
        with item.local() as (path, content):
            upload(
                path,
                bucket=bucket,
                key_prefix=key_prefix,
                s3_client=session.s3_client,
                boto_session=session.boto_session,
                verify=session.verify,
                content=content,
                is_code=item.is_code,
                repeated=repeated,
                kms_key=definition.kms_key,
                expected_bucket_owner=owner,
            )


def _keys_of(session: Session) -> KeyGenerator:
    """Return the maker of keys in the session's default bucket, which is created when the first key is asked for."""

    def make(*parts: str) -> str:
        return join(session.default_bucket(), session.default_bucket_prefix, *parts)

    return make
