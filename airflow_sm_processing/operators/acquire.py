"""How a task acquires its one job: an earlier try's or a new one, as soon as AWS has capacity for it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_sm_processing.exceptions import (
    CapacityError,
    DefinitionError,
    JobExistsError,
    MalformedResponseError,
    ProcessingError,
    TransientError,
)
from airflow_sm_processing.iam.plan import plan_job
from airflow_sm_processing.iam.statements import UNKNOWN_ACCOUNT, UNKNOWN_REGION, Place, Ways, account_in, partition_of
from airflow_sm_processing.operators.attempt import Attempt, TaskDefinitionError, UnwantedJobError
from airflow_sm_processing.operators.outputs import read_result_files
from airflow_sm_processing.ownership.claim import JobClaim
from airflow_sm_processing.processing.aws_calls import backoff, is_pressure
from airflow_sm_processing.processing.values import LATE
from airflow_sm_processing.triggers.processing import CapacityTrigger, Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from typing import NoReturn

    from airflow.sdk import Context

    from airflow_sm_processing.exceptions import JobFailedError, Problem
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.iam.plan import JobPlan
    from airflow_sm_processing.operators.outputs import AssetOutlets
    from airflow_sm_processing.operators.parameters import WaitOptions
    from airflow_sm_processing.operators.release import JobGuard
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.triggers.events import Deadline

__all__ = [
    "BACKSTOP",
    "PLACEHOLDER",
    "Acquired",
    "EndedJob",
    "JobAcquisition",
    "JobTask",
    "PlannedTask",
    "RunSettings",
    "lacked_capacity",
    "outputs_read",
    "plan_task",
    "trigger_connection",
    "ways_of",
]


log = logging.getLogger(__name__)


BACKSTOP = timedelta(seconds=30)
"""How long after a trigger's deadline Airflow itself ends the deferral, in case no triggerer is running."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
_NO_CAPACITY = "CapacityError"  # the beginning of FailureReason when AWS has no such instances


# What a task passes to a run of its job


class EndedJob(NamedTuple):
    """A job that has ended, whose results the operator reads."""

    job: ProcessingJob
    description: JobDescription
    max_transient_seconds: float
    """How long to retry while S3 can't be reached."""


class JobTask(Protocol):
    """What a run needs from its operator."""

    @property
    def connection(self) -> AwsConnection:
        """The task's AWS connection."""

    @property
    def hook(self) -> ProcessingHook:
        """The hook of that connection."""

    def job_definition(
        self, context: Context, option_problems: Sequence[Problem] = ()
    ) -> AbstractContextManager[JobDefinition]:
        """Return a context manager for the job's definition; the job is created in its block."""

    def job_result(self, context: Context, ended: EndedJob) -> Any:
        """Return the task's result for a job that completed or was stopped."""

    def job_failure(self, ended: EndedJob, error: JobFailedError) -> Exception:
        """Return the exception that the task raises for a failed job."""

    def ends_from_trigger(self, options: WaitOptions) -> bool:
        """Return whether the trigger may end the task when its job completes."""

    def defer(self, *, trigger: Any, method_name: str, timeout: timedelta | None = None) -> NoReturn:
        """Leave the worker until a trigger fires."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A task's settings for a run, read once from the rendered parameters."""

    task_id: str
    dag_id: str
    options: WaitOptions
    option_problems: tuple[Problem, ...]
    """What is wrong with the parameters that `options` was read from."""
    execution_timeout: timedelta | None
    trigger_mask: Callable[[], bool | list[str]]
    """Returns which environment variables of the job a trigger has to hide; defaults may have added some."""
    result_files: Any
    """The result files by the names of their XComs; empty if there are none."""
    max_result_file_bytes: int | str
    asset_outlets: AssetOutlets

    def deadline(self, task_started: datetime | None, *, max_wait: float | None) -> Deadline | None:
        """Return when a wait ends: `max_wait` seconds from now, or with the task's `execution_timeout`."""
        from airflow_sm_processing.triggers.events import earliest_deadline

        return earliest_deadline(max_wait=max_wait, execution_timeout=self.execution_timeout, task_started=task_started)


def trigger_connection(task: JobTask) -> dict[str, Any]:
    """Return the connection as a trigger's argument, with the region that the worker uses."""
    return {**task.connection.serialize(), "region_name": task.hook.session.boto_region_name}


# The job


class Acquired(NamedTuple):
    """The one job of a task instance."""

    job: ProcessingJob
    found: JobDescription | None
    """The job as an earlier try, or a concurrent process, left it; None if it was created now."""
    since: float
    """The earliest time at which the job may have been created, in seconds since the epoch."""
    queue: str
    """The key of the job's capacity queue."""


class JobAcquisition:
    """Acquires the one job of a task instance, during one period in a worker."""

    def __init__(
        self, task: JobTask, context: Context, settings: RunSettings, attempt: Attempt, guard: JobGuard
    ) -> None:
        """Store the arguments, which `JobRun` describes."""
        self.refusals: Refusals | None = None
        """The times so far that AWS had no capacity for the job; None if there were none."""
        self.stays_in_worker = False
        """Whether to wait for capacity in this worker even if deferrable, because the trigger failed."""
        self._task = task
        self._context = context
        self._settings = settings
        self._options = settings.options
        self._attempt = attempt
        self._guard = guard

    def acquire(self, lacking: CapacityError | None = None) -> Acquired:
        """Acquire the job as soon as there is capacity for it.

        Args:
            lacking: Why the last job could not start.

        Raises:
            TaskDefinitionError: Something is wrong with the task's parameters.
            UnwantedJobError: An earlier try left a job, and `on_existing_job` is `fail`; or another owner has
                its name.
            ServiceError: AWS refused or couldn't be reached.
        """
        asked_at = time.time()
        try:
            with self._task.job_definition(self._context, self._settings.option_problems) as definition:
                queue = _capacity_queue(definition)
                if lacking is not None:
                    self._await_capacity(lacking, queue)
                    asked_at = time.time()
                claim = self._claim(definition)
                while True:
                    try:
                        with _unseen_job_stopped_on_failure(claim, self._guard):
                            job, found = claim.job()
                            self._guard.job = job
                    except TransientError as error:
                        if not is_pressure(error):
                            raise
                        self._await_capacity(error, queue)
                    else:
                        created = None if found is None else found.created_at
                        return Acquired(job, found, asked_at if created is None else created.timestamp(), queue)
        except DefinitionError as error:
            raise TaskDefinitionError.of(error, task_id=self._settings.task_id) from None
        except JobExistsError as error:
            raise UnwantedJobError(error.job_name, str(error)) from error

    def _claim(self, definition: JobDefinition) -> JobClaim:
        return JobClaim(
            definition,
            self._task.hook.session,
            self._attempt.asking(),
            intents=self._attempt.intents,
            on_existing_job=self._options.on_existing_job,
            is_end=self._options.skips_on_exit_of,
            max_transient_seconds=self._options.max_transient_seconds,
            may_create=self._guard.check_may_create,
            sleep=self._guard.sleep,
        )

    def _await_capacity(self, error: TransientError, queue: str) -> None:
        """Wait before the next attempt to create the job: in this worker, or deferred."""
        options = self._options
        refusals = self.refusals = _count_refusal(error, self.refusals, bound=options.max_capacity_wait)
        deadline = self._settings.deadline(self._context["ti"].start_date, max_wait=None)
        if deadline is not None and deadline.seconds_left <= 0:
            from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

            raise AirflowTaskTimeout(
                f"execution_timeout was reached while AWS had no capacity for the job: {error}"
            ) from None
        if options.is_deferrable and not self.stays_in_worker:
            self._defer_for_capacity(
                refusals, queue, deadline, refused_at=time.time() if _is_quota_used_up(error) else None
            )
        self._guard.sleep(_pause_after(refusals))

    def _defer_for_capacity(
        self, refusals: Refusals, queue: str, deadline: Deadline | None, *, refused_at: float | None
    ) -> NoReturn:
        until = refusals.since + self._options.max_capacity_wait
        if deadline is not None:
            until = min(until, deadline.at)
        self._task.defer(
            trigger=CapacityTrigger(
                connection=trigger_connection(self._task),
                queue_key=queue,
                until=until,
                refused_at=refused_at,
                **refusals.to_payload(),
            ),
            method_name="execute_after_capacity_wait",
            timeout=timedelta(seconds=max(0.0, until - time.time())) + BACKSTOP,
        )


@contextmanager
def _unseen_job_stopped_on_failure(claim: JobClaim, guard: JobGuard) -> Iterator[None]:
    """Stop a job that the claim may have created unseen, if the block fails."""
    try:
        yield
    except BaseException as error:  # Airflow's time-out isn't an Exception
        will_try_again = isinstance(error, TransientError) and is_pressure(error)
        if isinstance(error, MalformedResponseError) and not guard.killed:
            log.warning("%s A job may have been created; if so, it keeps running.", error)
        elif not will_try_again and not guard.is_for_next_try():
            _stop_unseen(claim, guard)
        raise


def _stop_unseen(claim: JobClaim, guard: JobGuard) -> None:
    try:
        job = claim.unseen_job()
    except ProcessingError as error:  # not raised: the reason why the task is ending must not be hidden
        log.error("A job may have been created, and looking for it failed: %s", error)  # noqa: TRY400  # the message is complete
        return
    if job is not None:
        guard.stop(job)


# Capacity: AWS refused the job because of throttling, a quota or missing instances


def _count_refusal(error: Exception, refusals: Refusals | None, *, bound: float) -> Refusals:
    """Return the refusals with this one added, or raise the error if the time to wait for capacity is over.

    Args:
        error: Why there is no capacity.
        refusals: The refusals so far; None if this is the first.
        bound: The maximum time to wait, in seconds.
    """
    now = time.time()
    counted = Refusals(since=now) if refusals is None else Refusals(since=refusals.since, count=refusals.count + 1)
    waited = now - counted.since
    if waited >= bound:
        log.error("AWS had no capacity for the job within max_capacity_wait (%.0f s).", waited)
        raise error
    log.warning("AWS has no capacity for the job; waiting for %.0f s of at most %.0f s: %s", waited, bound, error)
    return counted


def _pause_after(refusals: Refusals) -> float:
    """Return the seconds to wait in a worker before trying again: with full jitter, since many may be waiting."""
    return backoff(refusals.count, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE, shortest=_FIRST_PAUSE / 2)


def _capacity_queue(definition: JobDefinition) -> str:
    """Return the key of a job's capacity queue: its instance type, or its preferred types in order."""
    if definition.instance_type is not None:
        return str(definition.instance_type)
    return ",".join(str(preference.instance_type) for preference in definition.instance_preferences)


def _is_quota_used_up(error: TransientError) -> bool:
    """Return whether a quota is used up, so that only the end of another job in the account frees capacity."""
    return error.code == "ResourceLimitExceeded"


def lacked_capacity(description: JobDescription) -> CapacityError | None:
    """Return the error of a job that couldn't start because there were no instances; None for any other job."""
    reason = description.failure_reason or ""
    if description.status.is_success or description.started_at is not None or not reason.startswith(_NO_CAPACITY):
        return None
    message = f"Processing job {description.job_name} could not start: {reason}"
    return CapacityError(message, operation="CreateProcessingJob", code=_NO_CAPACITY)


PLACEHOLDER = re.compile(r"<[^<>]+>")
"""Matches the placeholders in a plan for what isn't known yet."""


class PlannedTask(Protocol):
    """What a plan needs from a processing operator."""

    task_id: str
    own_outputs: Sequence[str]
    result_files: Any

    @property
    def connection(self) -> AwsConnection:
        """The task's AWS connection."""

    @property
    def hook(self) -> ProcessingHook:
        """The hook of that connection."""

    def read_wait_options(self) -> tuple[WaitOptions, list[Problem]]:
        """Return the wait options, and what is wrong with their parameters."""


def plan_task(
    task: PlannedTask,
    context: Context,
    job_definition: Callable[..., AbstractContextManager[JobDefinition]],
    *,
    account: str | None = None,
    region: str | None = None,
) -> JobPlan:
    """Plan the first job of a task instance whose parameters are rendered.

    Args:
        task: The rendered task.
        context: The context of the planned run.
        job_definition: The task's own `job_definition`, or a replacement for it.
        account: The account of the jobs, if it is known.
        region: Their region; the connection's if None.

    Raises:
        TaskDefinitionError: Something is wrong with the task's parameters.
        UploadError: A local file can't be read.
    """
    options, problems = task.read_wait_options()
    try:
        with job_definition(context, problems, is_excused=_is_of_a_placeholder) as written:
            definition, defaults = task.hook.local_defaults().apply(written)
            role, connection = str(definition.role), task.connection
            region = region or _configured_region(task)
            place = Place(
                account=account or account_in(role) or UNKNOWN_ACCOUNT,
                region=region or UNKNOWN_REGION,
                partition=partition_of(region=region, role=role, image_uri=str(definition.written_image)),
            )
            return plan_job(
                definition,
                Attempt(context).asking(),
                place,
                ways=ways_of(options),
                bucket=connection.default_bucket,
                prefix=connection.default_bucket_prefix,
                reads=outputs_read(task.own_outputs, task.result_files),
                defaults=defaults,
                is_excused=_is_of_a_placeholder,
            )
    except DefinitionError as error:
        raise TaskDefinitionError.of(error, task_id=task.task_id) from None


def ways_of(options: WaitOptions) -> Ways:
    """Return those wait options that determine a task's permissions."""
    return Ways(
        waits=options.wait_for_completion,
        defers=options.wait_for_completion and options.is_deferrable,
        follows_log=options.logs is True,
    )


def outputs_read(own: Sequence[str], result_files: Any) -> tuple[str, ...]:
    """Return the outputs that a task itself reads when its job has ended: its own ones, and those of result files."""
    named = read_result_files(result_files)
    places = named.values() if isinstance(named, Mapping) else ()
    return tuple(dict.fromkeys([*own, *(str(place).partition("/")[0] for place in places)]))


def _configured_region(task: PlannedTask) -> str | None:
    """Return the region of a task's session, from Airflow's connection or boto3's own configuration."""
    import botocore.session

    region: str | None = task.hook.conn_config.region_name
    return region or botocore.session.Session().get_config_variable("region")


def _is_of_a_placeholder(problem: Problem) -> bool:
    value: Any = problem.value
    return value is LATE or bool(PLACEHOLDER.search(str(value)))
