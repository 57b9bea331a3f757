"""One run of a task's job: acquire it, wait or defer, read its results, record it, stop it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing import xcoms
from airflow_sm_processing.exceptions import JobFailedError, ProcessingError, WaitTimeoutError
from airflow_sm_processing.metrics import job_ended
from airflow_sm_processing.operators.acquire import (
    BACKSTOP,
    EndedJob,
    JobAcquisition,
    lacked_capacity,
    trigger_connection,
)
from airflow_sm_processing.operators.attempt import Attempt
from airflow_sm_processing.operators.outputs import emit_asset_events, read_result_files, result_file_values
from airflow_sm_processing.operators.release import JobGuard
from airflow_sm_processing.operators.templating import as_bool
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.triggers.events import Deadline
from airflow_sm_processing.triggers.processing import Refusals
from airflow_sm_processing.xcoms import xcom_if_any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from airflow.sdk import Context

    from airflow_sm_processing.exceptions import CapacityError
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.operators.acquire import Acquired, JobTask, RunSettings
    from airflow_sm_processing.operators.parameters import WaitOptions
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.s3 import Size

__all__ = [
    "JobRecorder",
    "JobRun",
    "SeenJob",
    "begin_log_position",
    "forget_log_position",
    "measured",
    "own_xcom",
    "publish",
]


log = logging.getLogger(__name__)


class JobRun:
    """Runs the one job of a task instance during one period in a worker: from the start, or after a deferral."""

    def __init__(self, task: JobTask, context: Context, settings: RunSettings, log: Any) -> None:
        """Begin a period in a worker, without a job yet.

        Args:
            task: The operator.
            context: The task instance's context.
            settings: The settings from the operator's parameters.
            log: The operator's logger.
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

    # The beginning of a period in a worker

    def start(self, refusals: Refusals | None = None, *, lacking: CapacityError | None = None) -> Any:
        """Acquire the job, created now or by an earlier try; then wait for it, defer, or return.

        Args:
            refusals: The times so far that AWS had no capacity for the job; None if there were none.
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
            if self._guard.killed:  # during the submission, which was completed first
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
        if arrived.position_kept or self._options.logs is True:  # `logs=True` began a position
            forget_log_position(self._context)
        if arrived.outcome in {JobOutcome.TROUBLE, JobOutcome.UNKNOWN}:  # the triggerer's credentials may be older
            self._log.warning("The triggerer could not watch the job, so this worker waits: %s", arrived.message)
        self._acquisition.refusals = None if arrived.refused_since is None else Refusals(since=arrived.refused_since)
        gave_up = arrived.outcome is JobOutcome.DEADLINE
        return self._end(job, arrived.deadline, shown=arrived.log_position, gave_up=gave_up)

    def resume_without_trigger(self, details: dict[str, Any]) -> Any:
        """Resume after Airflow ended the deferral: the trigger failed, or its time is over."""
        from airflow.sdk.bases.operator import TriggerFailureReason

        is_over = details.get("error") == TriggerFailureReason.TRIGGER_TIMEOUT
        if is_over:  # if it was waiting for capacity: try once more, without another wait
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
        deadline = self._deadline(max_wait=self._options.max_wait)  # a new one: the trigger's is lost
        return self._end(job, deadline, shown=shown)

    def stop(self) -> None:
        """Stop the job, or leave it to the next try: this process must end, or `execution_timeout` is over."""
        self._guard.kill()

    def _take_up(self, job_name: str) -> ProcessingJob:
        """Return the job that the task was deferred for, and guard it in this worker."""
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
                mask_env=self._settings.trigger_mask(),
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
        """Wait for the job's end in this worker, and finish; start again if there was no capacity for the job."""
        self._guard.hands_on = False
        if self._guard.killed:  # before the job to wait for was known
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
        """Wait in this worker, showing the log from where the trigger left off, and return the job at its end.

        Args:
            job: The job to wait for.
            deadline: When to give up.
            shown: The position in the log from which the trigger lets a worker continue.
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
                    sink=lambda line: line.log_to(self._log),
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
        """Return the task's result for a job that has ended, or raise; this is the same in every mode."""
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
        result = self._task.job_result(self._context, ended)  # before anything is pushed, as it may raise
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
            self._log.info("Read result file %s (%s) into XCom %r.", named[name], type(value).__name__, name)

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
            raise AirflowTaskTimeout(f"execution_timeout was reached: processing job {job.job_name} {what}.") from None
        raise WaitTimeoutError(job.job_name, waited_seconds=self._options.max_wait or 0.0) from None

    # Helpers

    def _deadline(self, *, max_wait: float | None) -> Deadline | None:
        """Return when the wait ends: `max_wait` seconds from now, or with the task's `execution_timeout`."""
        return self._settings.deadline(self._context["ti"].start_date, max_wait=max_wait)

    def _passed_deadline(self) -> Deadline:
        """Return the deadline that ended a deferral, so that the job is described once more and the wait ends."""
        execution = self._deadline(max_wait=None)
        return execution if execution is not None and execution.seconds_left <= 0 else Deadline(0.0, "max_wait")

    def _warn_of_what_needs_the_end(self) -> None:
        """Warn of parameters from `default_args` that have no effect, because the task doesn't wait."""
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


_MOST_HOSTS = 10  # whose last lines are recorded: up to 20 kB per host, in one row of Airflow's database


class SeenJob(NamedTuple):
    """A task's job as it was last seen."""

    description: JobDescription
    sizes: Mapping[str, Size | None] = MappingProxyType({})
    """The sizes of its inputs and outputs by S3 URI, when it has ended."""

    @classmethod
    def just_made(cls, job: ProcessingJob) -> SeenJob:
        """Return a new job as described by its request."""
        from airflow_sm_processing.processing.description import JobDescription, JobStatus

        response = {
            **(job.request or {}),
            "ProcessingJobName": job.job_name,
            "ProcessingJobArn": job.job_arn or "",
            "ProcessingJobStatus": JobStatus.IN_PROGRESS.value,
        }
        return cls(JobDescription.from_response(response).without(job.sagemaker_session.secrets))


class JobRecorder:
    """Records a task's job for this package's pages in Airflow's UI."""

    def __init__(self, context: Context, options: WaitOptions, *, aws_conn_id: str | None) -> None:
        from airflow_sm_processing.xcoms import Circumstances

        self._context = context
        self._options = options
        self._circumstances = Circumstances(
            try_number=context["ti"].try_number,
            awaited=options.wait_for_completion,
            stop_on_kill=options.stop_on_kill,
            aws_conn_id=aws_conn_id,
        )

    def submission(self, job: ProcessingJob, found: JobDescription | None) -> None:
        """Record a job that the task has acquired; `found` describes one that an earlier try created."""
        self._record(job, found, is_new=True)

    def progress(self, job: ProcessingJob, description: JobDescription) -> None:
        """Record a job whose container has started, or that is being stopped."""
        job.learn(description)  # after a deferral, the worker knows only the job's name
        self._record(job, description, with_details=False)

    def end(self, job: ProcessingJob, description: JobDescription, sizes: Mapping[str, Size | None]) -> None:
        """Record a job that has ended: with what it read and wrote, in bytes, and the last lines of its log."""
        shown = bool(self._options.logs) and description.instance_count <= _MOST_HOSTS
        with_log = shown or not description.status.is_success
        self._record(job, description, sizes=sizes, with_log=with_log)

    def as_left(self, job: ProcessingJob) -> None:
        """Record the present state of a job that the task no longer waits for, since the task won't see its end."""
        try:
            description = job.description()
        except ProcessingError as error:
            log.info("How job %s was left can't be recorded: %s", job.job_name, error)
            return
        job.learn(description)
        self._record(job, description, with_log=True)

    def _record(
        self,
        job: ProcessingJob,
        description: JobDescription | None,
        *,
        is_new: bool = False,
        sizes: Mapping[str, Size | None] | None = None,
        with_details: bool = True,
        with_log: bool = False,
    ) -> None:
        from airflow_sm_processing.processing.log_events import telling_line
        from airflow_sm_processing.xcoms import job_details, job_record

        ti: Any = self._context["ti"]
        try:
            has_failed = with_log and description is not None and description.status is JobStatus.FAILED
            error_line = telling_line(job.log_tails) if has_failed else None
            record = job_record(job, description, self._circumstances, error_line=error_line)
            is_shown = is_new or not _shows_a_later_try(self._context)
            if is_shown:
                ti.xcom_push(key=xcoms.RECORD_KEY, value=record)
            if is_shown and with_details:
                tails = dict(islice(job.log_tails.items(), _MOST_HOSTS)) if with_log else None
                ti.xcom_push(key=xcoms.DETAILS_KEY, value=job_details(job, sizes=sizes, log_tail=tails))
            store: Any = self._context.get("task_state_store")  # since Airflow 3.3
            if store is not None:
                store.set(f"{xcoms.STORED_RECORD}{job.job_name}", record)
        except Exception as error:  # noqa: BLE001  # Airflow and XCom backends raise many kinds; none may fail a task
            log.warning("Airflow's pages may lack details of job %s: %r", job.job_name, error)


def _shows_a_later_try(context: Context) -> bool:
    """Return whether the task was cleared, and a new try already has a job, while this try is still ending."""
    found = own_xcom(context, xcoms.RECORD_KEY)
    number = found.get("try_number") if isinstance(found, dict) else None
    return isinstance(number, int) and number > context["ti"].try_number


def measured(hook: ProcessingHook, description: JobDescription) -> dict[str, Size | None]:
    """Return the sizes of what an ended job read and wrote; empty if `[sm_processing] measure_data` is off."""
    from airflow_sm_processing.airflow_compat import conf
    from airflow_sm_processing.processing.s3 import measure_all

    if not conf.getboolean("sm_processing", "measure_data", fallback=True):
        return {}
    read = [str(item.s3_input.s3_uri) for item in description.inputs if item.s3_input and item.s3_input.s3_uri]
    written = [str(item.destination) for item in description.outputs if item.destination]
    if not (read or written):
        return {}  # no S3 client needed: the first costs a tenth of a second
    try:
        return measure_all(hook.single_attempt_client("s3"), [*read, *written], folders=written)
    except Exception as error:  # noqa: BLE001  # as for records: none may fail a task
        log.warning("Could not measure the inputs and outputs of job %s: %r", description.job_name, error)
        return {}


# The XComs that a task instance keeps while its job runs


def publish(context: Context, job: ProcessingJob) -> None:
    """Push the job's name, ARN, outputs and links as soon as it exists, so that a failed task has them too."""
    ti = context["ti"]
    ti.xcom_push(key=xcoms.JOB_NAME_KEY, value=job.job_name)
    ti.xcom_push(key=xcoms.JOB_ARN_KEY, value=job.job_arn)
    for name, uri in job.output_uris.items():
        if name not in xcoms.RESERVED_KEYS:  # an output of somebody else's job may have such a name
            ti.xcom_push(key=name, value=uri)
    xcoms.push_links(ti, job.links())


def own_xcom(context: Context, key: str) -> Any:
    """Return the XCom that the task instance, before a deferral, or its trigger pushed under a fixed key."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)


def begin_log_position(context: Context) -> None:
    """Push a position at the log's start, which triggers read and advance.

    It bypasses XCom backends, as triggers do.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import SetXCom

    ti = context["ti"]
    place: dict[str, Any] = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    comms: Any = task_runner.SUPERVISOR_COMMS
    try:
        comms.send(SetXCom(key=xcoms.LOG_POSITION_KEY, value={}, **place))
    except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; none may fail a task
        log.warning("XCom %s could not be pushed: %r", xcoms.LOG_POSITION_KEY, error)


def forget_log_position(context: Context) -> None:
    """Delete the position in the job's log, once a worker continues from it."""
    from airflow_sm_processing.airflow_compat import XCom

    ti = context["ti"]
    place = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    try:
        XCom.delete(key=xcoms.LOG_POSITION_KEY, **place)
    except Exception as error:  # noqa: BLE001  # Airflow and XCom backends raise many kinds; none may fail a task
        log.warning("XCom %s could not be deleted: %r", xcoms.LOG_POSITION_KEY, error)
