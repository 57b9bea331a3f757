"""One run of a task's job in a worker: acquire the job, then wait or defer, then the result or the reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_sm_processing import xcoms
from airflow_sm_processing.exceptions import (
    DefinitionError,
    JobExistsError,
    JobFailedError,
    TransientError,
    WaitTimeoutError,
)
from airflow_sm_processing.metrics import job_ended
from airflow_sm_processing.operators.acquire import (
    Acquired,
    capacity_queue,
    claim_job,
    count_refusal,
    is_quota_used_up,
    lacked_capacity,
    pause_after,
)
from airflow_sm_processing.operators.assets import emit_asset_events
from airflow_sm_processing.operators.attempt import Attempt
from airflow_sm_processing.operators.records import (
    JobRecorder,
    SeenJob,
    begin_log_position,
    forget_log_position,
    measured,
    own_xcom,
    publish,
)
from airflow_sm_processing.operators.release import JobGuard
from airflow_sm_processing.operators.templating import as_bool
from airflow_sm_processing.ownership.claim import JobClaim
from airflow_sm_processing.processing.aws_calls import is_pressure
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.triggers.capacity import CapacityTrigger, Refusals
from airflow_sm_processing.triggers.events import Deadline, earliest_deadline
from airflow_sm_processing.xcoms import xcom_if_any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import NoReturn

    from airflow.sdk import Context

    from airflow_sm_processing.exceptions import CapacityError, Problem
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.operators.assets import AssetOutlets
    from airflow_sm_processing.operators.wait_options import WaitOptions
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.s3 import Size

__all__ = ["EndedJob", "JobRun", "JobTask", "RunSettings"]

_BACKSTOP = timedelta(seconds=30)  # after a trigger's deadline Airflow ends the deferral: no triggerer may be running


class EndedJob(NamedTuple):
    """A job that has ended, for the operator to read what it left."""

    job: ProcessingJob
    description: JobDescription
    max_transient_seconds: float
    """How long to retry while S3 can't be reached."""


class JobTask(Protocol):
    """What a run asks of its operator."""

    @property
    def connection(self) -> AwsConnection:
        """Which AWS the task talks to."""

    @property
    def hook(self) -> ProcessingHook:
        """The hook of that connection."""

    def job_definition(
        self, context: Context, option_problems: Sequence[Problem] = ()
    ) -> AbstractContextManager[JobDefinition]:
        """Return the job's definition, for the block in which the job is created."""

    def job_result(self, context: Context, ended: EndedJob) -> Any:
        """Return the task's result, of a job that has ended well or was stopped."""

    def job_failure(self, ended: EndedJob, error: JobFailedError) -> Exception:
        """Return what the task raises for a job that failed."""

    def ends_from_trigger(self, options: WaitOptions) -> bool:
        """Return whether the trigger may end the task of a job that completes."""

    def defer(self, *, trigger: Any, method_name: str, timeout: timedelta | None = None) -> NoReturn:
        """End this stay in a worker, until a trigger fires."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run needs to know of its task, read once from the rendered parameters."""

    task_id: str
    dag_id: str
    options: WaitOptions
    option_problems: tuple[Problem, ...]
    """What is wrong with the parameters that `options` was read from."""
    execution_timeout: timedelta | None
    trigger_mask: bool | list[str]
    """Which variables of the job's environment a trigger has to hide."""
    result_files: Any
    """The files by the names of their XComs; nothing if there are none."""
    max_result_file_bytes: int | str
    asset_outlets: AssetOutlets


class JobRun:
    """Runs the one job of a task instance, in one stay in a worker: from its start, or after a deferral, on."""

    def __init__(self, task: JobTask, context: Context, settings: RunSettings, log: Any) -> None:
        """Begin a stay in a worker, without a job yet.

        Args:
            task: The operator.
            context: Of the task instance.
            settings: What the operator's parameters say.
            log: The operator's own.
        """
        self.last_seen: SeenJob | None = None
        """The job as it was last seen, for lineage."""
        self._task = task
        self._context = context
        self._settings = settings
        self._options = settings.options
        self._log = log
        self._attempt = Attempt(context)
        self._guard = JobGuard(self._attempt, settings.options, log)
        self._refusals: Refusals | None = None
        self._stays_in_worker = False  # the trigger that waited for capacity has failed

    @cached_property
    def _records(self) -> JobRecorder:
        return JobRecorder(self._context, self._options, aws_conn_id=self._task.connection.aws_conn_id)

    # Where a stay in a worker begins

    def start(self, refusals: Refusals | None = None, *, lacking: CapacityError | None = None) -> Any:
        """Acquire the job, made now or by an earlier try; then wait for it, defer, or be done.

        Args:
            refusals: That AWS had no capacity for the job, until now.
            lacking: Why the last job could not start.
        """
        self._refusals = refusals
        acquired = self.acquire(lacking)
        job, found = acquired.job, acquired.found
        options = self._options
        with self._guard.released_on_failure(job, record_as_left=self._records.as_left):
            publish(self._context, job)
            is_deferred = options.is_deferrable and not (found is not None and found.status.is_terminal)
            self._guard.hands_on = is_deferred or not options.wait_for_completion
            self.last_seen = SeenJob.just_made(job) if found is None else SeenJob(found)
            self._records.submission(job, found)
            for title, url in job.links().items():
                self._log.info("%s in the AWS console: %s", title, url)
            if self._guard.killed:  # the submission went on
                self._guard.release(job)
            self._guard.settle()
            if not options.wait_for_completion:
                self._warn_of_what_needs_the_end()
                return _unawaited_result(acquired)
            deadline = self._deadline(max_wait=options.max_wait)
            if is_deferred:
                self.defer(acquired, deadline)
        return self._end(job, deadline)

    def start_after_capacity_wait(self, event: dict[str, Any]) -> Any:
        """Try again to create the job, after a wait for capacity in the triggerer."""
        return self.start(Refusals(**event))

    def resume(self, event: dict[str, Any]) -> Any:
        """Resume after the trigger fired: read the rest of the log and the result, or give up at the deadline."""
        from airflow_sm_processing.triggers.events import JobEvent
        from airflow_sm_processing.watcher.watches import JobOutcome

        arrived = JobEvent.from_payload(event)
        job = self._take_up(arrived.job_name)
        if arrived.position_kept or self._options.logs is True:  # which began one
            forget_log_position(self._context)
        if arrived.outcome in {JobOutcome.TROUBLE, JobOutcome.UNKNOWN}:  # the triggerer may look with older credentials
            self._log.warning("The triggerer could not watch the job, so this worker waits: %s", arrived.message)
        self._refusals = None if arrived.refused_since is None else Refusals(since=arrived.refused_since)
        gave_up = arrived.outcome is JobOutcome.DEADLINE
        return self._end(job, arrived.deadline, shown=arrived.log_position, gave_up=gave_up)

    def resume_without_trigger(self, details: dict[str, Any]) -> Any:
        """Resume after Airflow ended the deferral: the trigger failed, or its time is over."""
        from airflow.sdk.bases.operator import TriggerFailureReason

        is_over = details.get("error") == TriggerFailureReason.TRIGGER_TIMEOUT
        if is_over:  # of a wait for capacity: one more try, and no other wait
            self._refusals = Refusals(since=time.time() - self._options.max_capacity_wait)
        job_name = xcom_if_any(self._context["ti"], xcoms.JOB_NAME_KEY)
        if job_name is None:  # it waited for capacity
            self._log.warning("The trigger failed (%s), so this worker tries again.", details.get("error"))
            self._stays_in_worker = not is_over
            return self.start(self._refusals)
        job = self._take_up(job_name)
        shown = own_xcom(self._context, xcoms.LOG_POSITION_KEY) if self._options.logs is True else None
        if shown is not None:
            forget_log_position(self._context)
        if is_over:
            return self._end(job, self._passed_deadline(), shown=shown)
        trace = "".join(details.get("traceback") or ())
        self._log.warning("The trigger failed (%s), so this worker waits.\n%s", details.get("error"), trace)
        deadline = self._deadline(max_wait=self._options.max_wait)  # anew: the trigger's is lost with it
        return self._end(job, deadline, shown=shown)

    def stop(self) -> None:
        """Stop the job, or leave it to the next try: this process must end, or `execution_timeout` is over."""
        self._guard.kill()

    def _take_up(self, job_name: str) -> ProcessingJob:
        """Return the job that the task waits for, in the worker that it resumes in."""
        job = self._guard.job = self._task.hook.job(job_name)
        return job

    # The job

    def acquire(self, lacking: CapacityError | None = None) -> Acquired:
        """Acquire the one job of the task instance, as soon as there is capacity for it.

        Raises:
            TaskDefinitionError: Something is wrong with the task's parameters.
            UnwantedJobError: An earlier try left a job, and `on_existing_job` is `fail`; or another owner has
                its name.
            ServiceError: AWS refused or couldn't be reached.
        """
        from airflow_sm_processing.operators.errors import TaskDefinitionError, UnwantedJobError

        asked_at = time.time()
        try:
            with self._task.job_definition(self._context, self._settings.option_problems) as definition:
                queue = capacity_queue(definition)
                if lacking is not None:
                    self._await_capacity(lacking, queue)
                    asked_at = time.time()
                claim = self._claim(definition)
                while True:
                    try:
                        job, found = claim_job(claim, self._guard)
                    except TransientError as error:
                        if not is_pressure(error):
                            raise
                        self._await_capacity(error, queue)
                    else:
                        created = None if found is None else found.created_at
                        return Acquired(job, found, asked_at if created is None else created.timestamp(), queue)
        except DefinitionError as error:
            raise TaskDefinitionError.of(error, task_id=self._settings.task_id) from error
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
        """Wait until it is worth trying again: in this worker, or deferred."""
        options = self._options
        refusals = self._refusals = count_refusal(error, self._refusals, bound=options.max_capacity_wait)
        deadline = self._deadline(max_wait=None)
        if deadline is not None and deadline.seconds_left <= 0:
            from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

            raise AirflowTaskTimeout(f"execution_timeout is over, and there was no room for the job: {error}") from None
        if options.is_deferrable and not self._stays_in_worker:
            self._defer_for_capacity(
                refusals, queue, deadline, refused_at=time.time() if is_quota_used_up(error) else None
            )
        self._guard.sleep(pause_after(refusals))

    def _defer_for_capacity(
        self, refusals: Refusals, queue: str, deadline: Deadline | None, *, refused_at: float | None
    ) -> NoReturn:
        until = refusals.since + self._options.max_capacity_wait
        if deadline is not None:
            until = min(until, deadline.at)
        self._task.defer(
            trigger=CapacityTrigger(
                connection=self._trigger_connection(),
                queue_key=queue,
                until=until,
                refused_at=refused_at,
                **refusals.to_payload(),
            ),
            method_name="execute_after_capacity_wait",
            timeout=timedelta(seconds=max(0.0, until - time.time())) + _BACKSTOP,
        )

    # From the job to the task's end

    def defer(self, acquired: Acquired, deadline: Deadline | None) -> NoReturn:
        """Wait for the job in the triggerer."""
        from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

        options = self._options
        if options.logs is True:
            begin_log_position(self._context)
        self._task.defer(
            trigger=ProcessingJobTrigger(
                job_name=acquired.job.job_name,
                connection=self._trigger_connection(),
                poll_interval=options.poll_interval,
                deadline=deadline and list(deadline),
                max_transient_seconds=options.max_transient_seconds,
                logs=options.logs is True,
                since=acquired.since,
                hosts=acquired.job.instance_count,
                stop_on_kill=options.stop_on_kill,
                end_task=self._task.ends_from_trigger(options),
                mask_env=self._settings.trigger_mask,
                queue_key=acquired.queue,
                refused_since=None if self._refusals is None else self._refusals.since,
            ),
            method_name="execute_complete",
            timeout=deadline and timedelta(seconds=max(0.0, deadline.seconds_left)) + _BACKSTOP,
        )

    def _end(
        self,
        job: ProcessingJob,
        deadline: Deadline | None,
        *,
        shown: dict[str, Any] | None = None,
        gave_up: bool = False,
    ) -> Any:
        """Wait for the job's end in this worker, and finish; start anew if there was no capacity for the job."""
        self._guard.hands_on = False
        if self._guard.killed:  # before it was known what job this stay waits for
            self._guard.release(job)
        description = self.wait(job, deadline, shown=shown, gave_up=gave_up)
        lacking = lacked_capacity(description)
        if lacking is None:
            return self.finish(job, description)
        self._guard.job = None
        refusals = self._refusals
        if refusals is not None and time.time() - refusals.since >= self._options.max_capacity_wait:
            job.raise_unless_completed(description)
        return self.start(refusals, lacking=lacking)

    def wait(
        self,
        job: ProcessingJob,
        deadline: Deadline | None,
        *,
        shown: dict[str, Any] | None = None,
        gave_up: bool = False,
    ) -> JobDescription:
        """Wait in this worker, to show the log from where the trigger left off, and return the job at its end.

        Args:
            job: What to wait for.
            deadline: When to give up.
            shown: The position that the trigger left in the log.
            gave_up: Whether the trigger has stopped the job at its deadline.
        """
        from airflow_sm_processing.processing.log_events import LogPosition
        from airflow_sm_processing.processing.waiter import WaitSettings

        settings = WaitSettings(
            poll_interval=self._options.poll_interval,
            max_wait=deadline and max(0.0, deadline.seconds_left),
            max_transient_seconds=self._options.max_transient_seconds,
        )
        try:
            with self._guard.released_on_failure(job, record_as_left=self._records.as_left):
                description = job.wait_for_end(
                    logs=self._options.logs,
                    settings=settings,
                    sink=lambda line: self._log.info("%s", line),
                    log_position=None if shown is None else LogPosition.from_plain(shown),
                    on_change=lambda seen: self._records.progress(job, seen),
                    is_ending=self._guard.is_stopping,
                )
        except WaitTimeoutError:
            self._give_up(job, deadline)
        if gave_up and description.status is JobStatus.STOPPED:
            self._note_end(job, description)
            self._give_up(job, deadline)
        return description

    def finish(self, job: ProcessingJob, description: JobDescription) -> Any:
        """Return the task's result of a job that has ended, or raise: the same in every mode."""
        sizes = self._note_end(job, description)
        self._guard.job = None
        ended = EndedJob(job, description, self._options.max_transient_seconds)
        is_stopped = description.status is JobStatus.STOPPED
        if is_stopped and self._options.on_stopped == "skip":
            _skip(f"Processing job {job.job_name} was stopped.")
        if self._options.skips_on_exit_of(description):
            _skip(f"Processing job {job.job_name} ended with exit code {description.exit_code}.")
        if not is_stopped or self._options.on_stopped != "succeed":
            self._raise_unless_completed(ended)
        result = self._task.job_result(self._context, ended)  # before anything is pushed: it may be refused
        if description.status.is_success:
            self._push_result_files(description)
            emit_asset_events(self._settings.asset_outlets, self._context, description, sizes)
        return result

    def _raise_unless_completed(self, ended: EndedJob) -> None:
        try:
            ended.job.raise_unless_completed(ended.description)
        except JobFailedError as error:
            failure = self._task.job_failure(ended, error)
            if failure is error:
                raise
            raise failure from None

    def _push_result_files(self, description: JobDescription) -> None:
        from airflow_sm_processing.operators.result_files import read_result_files, result_file_values

        named = read_result_files(self._settings.result_files)
        if not named:
            return
        values = result_file_values(
            named,
            self._task.hook.session,
            description.output_uris,
            max_bytes=int(self._settings.max_result_file_bytes),
            max_transient_seconds=self._options.max_transient_seconds,
        )
        for name, value in values.items():
            self._context["ti"].xcom_push(key=name, value=value)
            self._log.info("Result file %s (%s) is XCom %s.", named[name], type(value).__name__, name)

    def _note_end(self, job: ProcessingJob, description: JobDescription) -> dict[str, Size | None]:
        """Count and record a job that has ended; return the sizes of what it read and wrote."""
        job_ended(description, dag_id=self._settings.dag_id, task_id=self._settings.task_id)
        sizes = measured(self._task.hook, description)
        self.last_seen = SeenJob(description, sizes)
        self._records.end(job, description, sizes)
        return sizes

    def _give_up(self, job: ProcessingJob, deadline: Deadline | None) -> NoReturn:
        self._guard.job = None
        if deadline is not None and deadline.bound == "execution_timeout":
            from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

            what = "was stopped" if self._options.stop_on_kill else "goes on, for stop_on_kill=False"
            raise AirflowTaskTimeout(f"execution_timeout is over: processing job {job.job_name} {what}.") from None
        raise WaitTimeoutError(job.job_name, waited_seconds=self._options.max_wait or 0.0) from None

    # What these need

    def _deadline(self, *, max_wait: float | None) -> Deadline | None:
        """Return when the wait ends: `max_wait` seconds from now, or with the task's `execution_timeout`."""
        return earliest_deadline(
            max_wait=max_wait,
            execution_timeout=self._settings.execution_timeout,
            task_started=self._context["ti"].start_date,
        )

    def _passed_deadline(self) -> Deadline:
        """Return the deadline that ended a deferral: one more look at the job, and the wait is over."""
        execution = self._deadline(max_wait=None)
        return execution if execution is not None and execution.seconds_left <= 0 else Deadline(0.0, "max_wait")

    def _trigger_connection(self) -> dict[str, Any]:
        return {**self._task.connection.serialize(), "region_name": self._task.hook.session.boto_region_name}

    def _warn_of_what_needs_the_end(self) -> None:
        """Warn of what `default_args` ask for, and a task that doesn't wait can't do."""
        asked = {"result_files": self._settings.result_files, "emit_assets": self._settings.asset_outlets.alias}
        names = [name for name, value in asked.items() if value and as_bool(value) is not False]
        if names:
            self._log.warning("%s has no effect: the task doesn't wait for its job's end.", " and ".join(names))


def _skip(reason: str) -> NoReturn:
    from airflow_sm_processing.airflow_compat import AirflowSkipException

    raise AirflowSkipException(reason)


def _unawaited_result(acquired: Acquired) -> dict[str, Any]:
    job, found = acquired.job, acquired.found
    if found is not None:
        return xcoms.ended_result(found)
    return xcoms.submitted_result(job.job_name, job.job_arn, job.output_uris)
