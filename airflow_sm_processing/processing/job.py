"""A processing job in SageMaker, and how to find one by name or prefix."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from airflow_sm_processing.exceptions import (
    DefinitionError,
    JobEndedError,
    JobFailedError,
    JobNotFoundError,
    JobStoppedError,
    Problem,
    ServiceError,
)
from airflow_sm_processing.processing.aws_calls import answer_read, aws_call, new_token, summaries
from airflow_sm_processing.processing.definition import DEFINITION_PARAMETERS, DefinitionReader
from airflow_sm_processing.processing.description import JobDescription, JobStatus
from airflow_sm_processing.processing.log_events import EVERY_HOST
from airflow_sm_processing.processing.models import is_aws, job_links, output_uris
from airflow_sm_processing.processing.submission import submit
from airflow_sm_processing.processing.waiter import JobLogs, Waiter, WaitSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.log_events import LogPosition
    from airflow_sm_processing.processing.models import ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.session import Session
    from airflow_sm_processing.processing.submission import SubmittedJob
    from airflow_sm_processing.processing.waiter import ChangeSink, LineSink

__all__ = ["JobLookup", "NewestJob", "ProcessingJob", "find_job", "named_by_arn"]


log = logging.getLogger(__name__)


line_log = logging.getLogger(f"{__name__}.lines")


class SupportsDefine(Protocol):
    """A `Processor`, or another object that defines a job like one."""

    sagemaker_session: Session

    def define(
        self,
        *,
        inputs: Sequence[ProcessingInput] | None = None,
        outputs: Sequence[ProcessingOutput | str] | None = None,
        arguments: Sequence[str] | None = None,
        job_name: str | None = None,
        experiment_config: Mapping[str, str] | None = None,
        kms_key: str | None = None,
    ) -> JobDefinition:
        """Return the definition of a job."""


class ProcessingJob:
    """One job: its name, and its resolved inputs and outputs."""

    def __init__(
        self,
        sagemaker_session: Session,
        job_name: str,
        inputs: Sequence[ProcessingInput] | None,
        outputs: Sequence[ProcessingOutput] | None,
        output_kms_key: str | None = None,
        *,
        job_arn: str | None = None,
        instance_count: int | None = None,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        self.sagemaker_session = sagemaker_session
        self.job_name = job_name
        self.inputs = list(inputs or ())
        self.outputs = list(outputs or ())
        self.output_kms_key = output_kms_key
        self.job_arn = job_arn
        self.instance_count = instance_count
        """The number of hosts that run the script; None if unknown."""
        self.request = request
        """The job's CreateProcessingJob parameters, including secrets; None if unknown."""

    def __repr__(self) -> str:
        return f"ProcessingJob({self.job_name!r})"

    @cached_property
    def _logs(self) -> JobLogs:
        return JobLogs(self.sagemaker_session.logs_client, self.job_name)

    @property
    def name(self) -> str:
        """The job's name; the SDK's jobs have it under this name too."""
        return self.job_name

    @property
    def region_name(self) -> str:
        """The region that the job is in."""
        return self.sagemaker_session.sagemaker_client.meta.region_name

    @property
    def output_uris(self) -> dict[str, str]:
        """The S3 URI of each output that has one, by output name."""
        return output_uris(self.outputs)

    @classmethod
    def start_new(
        cls,
        processor: SupportsDefine,
        inputs: Sequence[ProcessingInput] | None,
        outputs: Sequence[ProcessingOutput | str] | None,
        experiment_config: Mapping[str, str] | None,
        *,
        arguments: Sequence[str] | None = None,
        job_name: str | None = None,
        kms_key: str | None = None,
    ) -> ProcessingJob:
        """Upload local files and create the job.

        Raises:
            DefinitionError: Something is wrong with the definition; nothing was uploaded.
            UploadError: A local file didn't reach S3; no job was created.
            ServiceError: AWS refused or couldn't be reached.
        """
        definition = processor.define(
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        return cls.submit(definition, processor.sagemaker_session)

    @classmethod
    def submit(
        cls,
        definition: JobDefinition,
        session: Session,
        *,
        extra_problems: Iterable[Problem] = (),
        max_transient_seconds: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> ProcessingJob:
        """Upload local files and create the job of a definition; the errors are those of `start_new`.

        Args:
            definition: What to run; a processor's `define` returns one.
            session: The session of the job.
            extra_problems: Problems to report together with the definition's own.
            max_transient_seconds: How long throttling, 5xx errors and lost connections are retried, in seconds.
            sleep: Waits for a number of seconds.
        """
        reader = DefinitionReader()
        definition = reader.read({name: getattr(definition, name, None) for name in DEFINITION_PARAMETERS})
        submitted = submit(
            definition,
            session,
            extra_problems=[*reader.problems, *extra_problems],
            max_transient_seconds=max_transient_seconds,
            sleep=sleep,
        )
        return cls.from_submitted(session, submitted)

    @classmethod
    def from_submitted(cls, sagemaker_session: Session, submitted: SubmittedJob) -> ProcessingJob:
        """Return the job that was created just now."""
        plan, request = submitted.plan, submitted.plan.request
        return cls(
            sagemaker_session,
            plan.job_name,
            plan.inputs,
            plan.outputs,
            submitted.output_kms_key,  # the request has none without outputs
            job_arn=submitted.job_arn,
            instance_count=request["ProcessingResources"]["ClusterConfig"].get("InstanceCount"),
            request=request,
        )

    @classmethod
    def from_processing_name(cls, sagemaker_session: Session, processing_job_name: str) -> ProcessingJob:
        """Return a job that exists already.

        Raises:
            JobNotFoundError: There is no job of that name in the account and region.
        """
        return cls.from_description(sagemaker_session, _describe(sagemaker_session, processing_job_name).parsed)

    @classmethod
    def from_description(cls, sagemaker_session: Session, description: JobDescription) -> ProcessingJob:
        """Return the job for a description."""
        return cls(
            sagemaker_session,
            description.job_name,
            description.inputs,
            description.outputs,
            description.output_kms_key,
            job_arn=description.job_arn,
            instance_count=description.instance_count,
            request=description.request,
        )

    @classmethod
    def from_processing_arn(cls, sagemaker_session: Session, processing_job_arn: str) -> ProcessingJob:
        """Return a job that exists already, by its ARN, which has the job's name in lower case."""
        return cls.from_processing_name(sagemaker_session, processing_job_arn.rpartition("processing-job/")[2])

    def describe(self) -> Mapping[str, Any]:
        """Return DescribeProcessingJob's response, as the SDK's jobs do; `description()` is the same, parsed."""
        return _describe(self.sagemaker_session, self.job_name).response

    def description(self) -> JobDescription:
        """Return the job's current description, parsed."""
        described = _describe(self.sagemaker_session, self.job_name).parsed
        return described.without(self.sagemaker_session.secrets)

    @property
    def status(self) -> JobStatus:
        """The job's current status, from a call to SageMaker: the `status` of its `description()`."""
        return self.description().status

    def stop(self) -> None:
        """Ask SageMaker to stop the job, with SIGTERM, then SIGKILL; this has no effect on a job that has ended."""
        try:
            with aws_call("StopProcessingJob", self.job_name):
                self.sagemaker_session.sagemaker_client.stop_processing_job(ProcessingJobName=self.job_name)
        except ServiceError as error:
            status = self.description().status if error.code == "ValidationException" else None
            if status is None or not (status.is_terminal or status is JobStatus.STOPPING):
                raise
            log.info("Processing job %s is %s already.", self.job_name, status.value)
        else:
            log.info("Asked SageMaker to stop processing job %s.", self.job_name)

    def wait(
        self, logs: bool | Literal["tail"] = True, *, settings: WaitSettings | None = None, sink: LineSink | None = None
    ) -> JobDescription:
        """Wait until the job has completed.

        Args:
            logs: Whether to pass on the job's log lines as they arrive; with `tail`, only the last ones at the end.
            settings: Intervals and time limits.
            sink: Receives the lines; if None, they are logged.

        Raises:
            JobFailedError: The job failed.
            JobStoppedError: The job was stopped.
            WaitTimeoutError: `settings.max_wait` is over; the job goes on.
        """
        description = self.wait_for_end(logs, settings=settings, sink=sink)
        self.raise_unless_completed(description)
        return description

    def wait_for_end(
        self,
        logs: bool | Literal["tail"] = True,
        *,
        settings: WaitSettings | None = None,
        sink: LineSink | None = None,
        log_position: LogPosition | None = None,
        on_change: ChangeSink | None = None,
        is_ending: Callable[[], bool] | None = None,
    ) -> JobDescription:
        """Wait until the job has ended, in whatever way, and return its description.

        Args:
            logs: As for `wait`.
            settings: Intervals and time limits.
            sink: Receives the lines; if None, they are logged.
            log_position: The position that another reader of the log has reached.
            on_change: Receives the job's description when the job is first seen running or stopping.
            is_ending: Returns whether this process is about to be killed; if so, the job is described at once, for
                `on_change`. Its exceptions end the wait.
        """
        if log_position is not None:
            self._logs = JobLogs(self.sagemaker_session.logs_client, self.job_name, position=log_position)
        description = Waiter(
            self.job_name,
            describe=self.description,
            logs=self._logs if logs else None,
            sink=lambda line: (sink or _log_line)(self.sagemaker_session.secrets.hide_in_line(line)),
            settings=settings or WaitSettings(),
            tail_only=logs == "tail",
            on_change=on_change,
            is_ending=is_ending,
        ).wait()
        log.info("Processing job %s %s", self.job_name, _how_it_ended(description))
        self.learn(description)
        return description

    def learn(self, description: JobDescription) -> None:
        """Fill in from a description what isn't known of a job that was created from its name alone."""
        self.inputs = self.inputs or list(description.inputs)
        self.outputs = self.outputs or list(description.outputs)
        self.output_kms_key = self.output_kms_key or description.output_kms_key
        self.job_arn = self.job_arn or description.job_arn
        self.instance_count = self.instance_count or description.instance_count
        self.request = self.request or description.request

    def raise_unless_completed(self, description: JobDescription) -> None:
        """Raise the error of a job that ended as Failed or Stopped, with the last log lines of each host."""
        if description.status.is_success:
            return
        cls: type[JobEndedError] = JobStoppedError if description.status is JobStatus.STOPPED else JobFailedError
        raise cls(
            self.job_name,
            status=description.status.value,
            failure_reason=description.failure_reason,
            exit_message=description.exit_message,
            log_tails=self.log_tails,
            links=self.links(),
        )

    def links(self) -> dict[str, str]:
        """Return the AWS console's pages of the job and of its outputs, by title; none if the endpoint isn't AWS's."""
        meta = self.sagemaker_session.sagemaker_client.meta
        if not is_aws(meta.endpoint_url):
            return {}
        return job_links(
            self.job_name, region=meta.region_name, partition=meta.partition, output_uris=self.output_uris.values()
        )

    @cached_property
    def log_tails(self) -> Mapping[str, Sequence[str]]:
        """The last log lines of each host; use it when the job has ended."""
        try:
            tails = self._logs.last_tails()
        except ServiceError as error:
            tails = {**self._logs.tails(), EVERY_HOST: (f"(the log can't be read: {error})",)}
        hide = self.sagemaker_session.secrets.hide
        return {host: [hide(line) for line in lines] for host, lines in tails.items()}


class _Described(NamedTuple):
    response: Mapping[str, Any]
    parsed: JobDescription


def _describe(session: Session, job_name: str) -> _Described:
    client = session.sagemaker_client
    with aws_call("DescribeProcessingJob", job_name):
        response = client.describe_processing_job(ProcessingJobName=job_name)
    with answer_read("DescribeProcessingJob", job_name):
        return _Described(response, JobDescription.of_job(job_name, response, client))


def _how_it_ended(description: JobDescription) -> str:
    """Return a text such as `completed in 1 min 24 s.`, with the job's own run time."""
    from airflow_sm_processing.processing.uploads.transfer import duration_text  # a deferred task may not need it

    how, seconds = description.status.value.lower(), description.duration_seconds
    if seconds is None:  # its container was never started
        return f"{how} without having started."
    return f"{how} {'in' if description.status.is_success else 'after'} {duration_text(seconds)}."


def _log_line(line: object) -> None:
    if line_log.hasHandlers():
        line_log.info("%s", line)
    else:  # without logging set up, as in a notebook, print the lines as the SDK does
        print(line, flush=True)  # noqa: T201


_ARN = re.compile(r"arn:[^:]+:sagemaker:([^:]+):\d{12}:processing-job/([a-zA-Z0-9-]+)")
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class JobLookup:
    """Identifies a job by its name, or as the newest one whose name has a prefix."""

    job_name: str | None = None
    name_is_exact: bool = True
    """Whether the name is exact; one from an ARN is in lower case."""
    job_name_prefix: str | None = None
    created_after: float | None = None
    """With a prefix: the earliest creation time, in seconds since the epoch."""

    def __str__(self) -> str:
        if self.job_name is not None:
            return f"processing job {self.job_name}"
        if self.created_after is None:
            return f"a processing job {self.job_name_prefix}…"
        since = datetime.fromtimestamp(self.created_after, timezone.utc).isoformat(timespec="seconds")
        return f"a processing job {self.job_name_prefix}… created after {since}"


class NewestJob:
    """Looks through ListProcessingJobs for the newest job with a prefix; the caller sends `request` until it is None.

    The service finds all names that contain the prefix, ignoring case, so more than one page may be needed.
    """

    def __init__(self, lookup: JobLookup) -> None:
        self._prefix = lookup.job_name_prefix or ""
        self._tokens: set[str] = set()
        self.found: str | None = None
        """The job's name; set when there is no further request, if there is such a job."""
        self.request: dict[str, Any] | None = {
            "NameContains": self._prefix,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": _PAGE,
        }
        if lookup.created_after is not None:
            self.request["CreationTimeAfter"] = datetime.fromtimestamp(lookup.created_after, timezone.utc)

    def take(self, answer: Mapping[str, Any]) -> None:
        """Read the response to the request, and set the next request.

        Raises:
            ValueError: The listing leads back to a page that was already read.
        """
        names = (job["ProcessingJobName"] for job in answer["ProcessingJobSummaries"])
        self.found = next((name for name in names if name.startswith(self._prefix)), None)
        token = new_token(answer.get("NextToken"), self._tokens)
        if self.found is not None or not token:
            self.request = None
        elif self.request is not None:
            self.request["NextToken"] = token


def find_job(session: Session, lookup: JobLookup) -> JobDescription | None:
    """Return the job's description; None while there is no such job.

    Raises:
        ServiceError: AWS refused or couldn't be reached.
    """
    from airflow_sm_processing.processing.job import ProcessingJob  # not needed in a triggerer

    name = lookup.job_name or _newest(session, lookup)
    try:
        return None if name is None else ProcessingJob(session, name, None, None).description()
    except JobNotFoundError:
        return None


def _newest(session: Session, lookup: JobLookup) -> str | None:
    search = NewestJob(lookup)
    while search.request is not None:
        client = session.sagemaker_client
        with aws_call("ListProcessingJobs", str(lookup)):
            answer = client.list_processing_jobs(**search.request)
        with answer_read("ListProcessingJobs", str(lookup)):
            summaries(client, answer)
            search.take(answer)
    return search.found


def named_by_arn(job_arn: str, *, region_name: str | None) -> tuple[str, str]:
    """Return the region and the name, in lower case, of a job's ARN.

    Raises:
        DefinitionError: It isn't a processing job's ARN, or its region isn't `region_name`.
    """
    match = _ARN.fullmatch(job_arn)
    if match is None:
        raise DefinitionError(
            [Problem("job_arn", job_arn, "must be arn:<partition>:sagemaker:<region>:<account>:processing-job/<name>")]
        )
    if region_name and region_name != match[1]:
        raise DefinitionError([Problem("job_arn", job_arn, f"is in another region than region_name={region_name!r}")])
    return match[1], match[2]
