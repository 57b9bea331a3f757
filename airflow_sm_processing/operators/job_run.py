"""One run of a task's job in a worker: acquire the job, then wait or defer, then the result or the reason."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_sm_processing import xcoms
from airflow_sm_processing.exceptions import JobFailedError, WaitTimeoutError
from airflow_sm_processing.metrics import job_ended
from airflow_sm_processing.operators.acquire import (
    BACKSTOP,
    EndedJob,
    JobAcquisition,
    lacked_capacity,
    trigger_connection,
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
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.triggers.capacity import Refusals
from airflow_sm_processing.triggers.events import Deadline
from airflow_sm_processing.xcoms import xcom_if_any

if TYPE_CHECKING:
    from typing import NoReturn

    from airflow.sdk import Context

    from airflow_sm_processing.exceptions import CapacityError
    from airflow_sm_processing.operators.acquire import Acquired, JobTask, RunSettings
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.s3 import Size

__all__ = ["JobRun"]


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
        self._acquisition = JobAcquisition(task, context, settings, self._attempt, self._guard)

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
        self._acquisition.refusals = refusals
        acquired = self._acquisition.acquire(lacking)
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
        self._acquisition.refusals = None if arrived.refused_since is None else Refusals(since=arrived.refused_since)
        gave_up = arrived.outcome is JobOutcome.DEADLINE
        return self._end(job, arrived.deadline, shown=arrived.log_position, gave_up=gave_up)

    def resume_without_trigger(self, details: dict[str, Any]) -> Any:
        """Resume after Airflow ended the deferral: the trigger failed, or its time is over."""
        from airflow.sdk.bases.operator import TriggerFailureReason

        is_over = details.get("error") == TriggerFailureReason.TRIGGER_TIMEOUT
        if is_over:  # of a wait for capacity: one more try, and no other wait
            self._acquisition.refusals = Refusals(since=time.time() - self._options.max_capacity_wait)
        job_name = xcom_if_any(self._context["ti"], xcoms.JOB_NAME_KEY)
        if job_name is None:  # it waited for capacity
            self._log.warning("The trigger failed (%s), so this worker tries again.", details.get("error"))
            self._acquisition.stays_in_worker = not is_over
            return self.start(self._acquisition.refusals)
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
                connection=trigger_connection(self._task),
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
                refused_since=None if self._acquisition.refusals is None else self._acquisition.refusals.since,
            ),
            method_name="execute_complete",
            timeout=deadline and timedelta(seconds=max(0.0, deadline.seconds_left)) + BACKSTOP,
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
        refusals = self._acquisition.refusals
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
        return self._settings.deadline(self._context["ti"].start_date, max_wait=max_wait)

    def _passed_deadline(self) -> Deadline:
        """Return the deadline that ended a deferral: one more look at the job, and the wait is over."""
        execution = self._deadline(max_wait=None)
        return execution if execution is not None and execution.seconds_left <= 0 else Deadline(0.0, "max_wait")

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
