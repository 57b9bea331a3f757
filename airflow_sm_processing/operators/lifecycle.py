"""The life of a task's job: get it, then wait or defer, then the result or the reason."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason

from airflow_sm_processing import xcoms
from airflow_sm_processing.operators.awaiting import AwaitingTask
from airflow_sm_processing.operators.bounds import passed_deadline, wait_deadline
from airflow_sm_processing.operators.definitions import read_task
from airflow_sm_processing.operators.getting import BACKSTOP, is_deferrable
from airflow_sm_processing.operators.lineage import TracedJob
from airflow_sm_processing.operators.own_xcoms import (
    begin_log_position,
    forget_log_position,
    own_xcom,
    publish,
)
from airflow_sm_processing.operators.recording import record_submission
from airflow_sm_processing.operators.room import lacked_capacity, lane_of
from airflow_sm_processing.operators.supervisor import ask_in_whole
from airflow_sm_processing.operators.truths import truth
from airflow_sm_processing.xcoms import xcom_if_any

if TYPE_CHECKING:
    from typing import NoReturn

    from airflow.sdk import Context
    from airflow.sdk.definitions.xcom_arg import PlainXComArg

    from airflow_sm_processing.operators.modes import Modes
    from airflow_sm_processing.ownership.claim import Claimed
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.triggers.capacity import Refusals
    from airflow_sm_processing.triggers.events import Deadline

__all__ = ["JobTask"]


class JobTask(AwaitingTask):
    """A task that runs one processing job; its parameters are a subclass's."""

    @property
    def output(self) -> PlainXComArg:
        """The task's result to come; `output["train"]` is the S3 URI of the output `train`."""
        return cast("PlainXComArg", super().output)  # Airflow types it as what can't be indexed

    def execute(self, context: Context) -> Any:
        """Get the job of this task instance, made now or by an earlier try; then wait for it, defer, or be done."""
        ask_in_whole()
        return self._run(context)

    def plan(self, context: Context, *, show_env: bool = False) -> dict[str, Any]:
        """Give what the task would ask of AWS, without asking: plain JSON.

        `request` is CreateProcessingJob's, with the task instance's first name and its owner's tags but the claim;
        `uploads` has the S3 URI of each local file; `permissions` what the `caller` and the `job_role` need;
        `unknown` what stands for something that only AWS knows.

        Args:
            context: Of the task instance; the task's parameters must be rendered.
            show_env: Whether the values of `env` are shown.

        Raises:
            TaskDefinitionError: Something is wrong with the task's parameters.
            UploadError: A local file can't be read.
        """
        from airflow_sm_processing.operators.plans import plan_task

        return plan_task(self, context).to_plain(show_env=show_env)

    def execute_when_there_is_room(self, context: Context, event: dict[str, Any]) -> Any:
        """Try again to submit the job, after a wait for room in the triggerer."""
        from airflow_sm_processing.triggers.capacity import Refusals

        return self._run(context, Refusals(**event))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take over from the trigger: read the rest of the log and the result, or give up at the deadline."""
        from airflow_sm_processing.triggers.capacity import Refusals
        from airflow_sm_processing.triggers.events import JobEvent
        from airflow_sm_processing.watcher.watches import Verdict

        arrived = JobEvent.from_payload(event)
        job = self._take_up(context, arrived.job_name)
        if arrived.position_kept or self._modes().logs is True:  # which began one
            forget_log_position(context)
        if arrived.outcome in {Verdict.TROUBLE, Verdict.UNKNOWN}:  # the triggerer may look with older credentials
            self.log.warning("The triggerer could not watch the job, so this worker waits: %s", arrived.message)
        refusals = None if arrived.refused_since is None else Refusals(since=arrived.refused_since)
        gave_up = arrived.outcome is Verdict.DEADLINE
        return self._end(context, job, arrived.deadline, refusals, shown=arrived.log_position, gave_up=gave_up)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; if Airflow ended it, see to the job before the task fails."""
        ask_in_whole()
        if next_method != TRIGGER_FAIL_REPR:
            return super().resume_execution(next_method, next_kwargs, context)
        details = next_kwargs or {}
        is_over = details.get("error") == TriggerFailureReason.TRIGGER_TIMEOUT
        refusals = self._longest_refused() if is_over else None
        job_name = xcom_if_any(context["ti"], xcoms.JOB_NAME_KEY)
        if job_name is None:  # it waited for room
            self.log.warning("The trigger failed (%s), so this worker tries again.", details.get("error"))
            self._stays = not is_over
            return self._run(context, refusals)
        job = self._take_up(context, job_name)
        shown = own_xcom(context, xcoms.LOG_POSITION_KEY) if self._modes().logs is True else None
        if shown is not None:
            forget_log_position(context)
        if is_over:
            return self._end(context, job, passed_deadline(self, context), refusals, shown=shown)
        trace = "".join(details.get("traceback") or ())
        self.log.warning("The trigger failed (%s), so this worker waits.\n%s", details.get("error"), trace)
        deadline = wait_deadline(self, context, max_wait=self._modes().max_wait)  # anew: the trigger's is lost with it
        return self._end(context, job, deadline, shown=shown)

    def on_kill(self) -> None:
        """Let go of the job: this process was told to end, or the task's `execution_timeout` is over."""
        self._killed = True
        if self._job is None:
            return
        if self._attempt is None or _is_time_out():
            self._stop(self._job)
        else:
            self._let_go(self._job, self._attempt)

    def _run(self, context: Context, refusals: Refusals | None = None) -> Any:
        from airflow_sm_processing.operators.attempt import Attempt

        attempt = self._attempt = Attempt(context)
        asked_at = time.time()
        claimed, modes, refusals = self._claimed(context, attempt, refusals)
        job, found = claimed
        since = asked_at if found is None or found.created_at is None else found.created_at.timestamp()
        with self._let_go_if_it_fails(context, job, modes):
            publish(context, job)
            is_deferred = is_deferrable(modes) and not (found is not None and found.status.is_terminal)
            self._passes_on = is_deferred or not modes.wait_for_completion
            self._traced = TracedJob.just_made(job) if found is None else TracedJob(found)
            record_submission(self, context, job, found, modes)
            for title, url in job.links().items():
                self.log.info("%s in the AWS console: %s", title, url)
            if self._killed:  # the submission went on
                self._let_go(job, attempt)
            self._until_let_go()
            if not modes.wait_for_completion:
                self._say_what_needs_the_end()
                return _unawaited_result(claimed)
            deadline = wait_deadline(self, context, max_wait=modes.max_wait)
            if is_deferred:
                if modes.logs is True:
                    begin_log_position(context)
                self._defer(job, modes, deadline, since=since, refusals=refusals)
        return self._end(context, job, deadline, refusals)

    def _say_what_needs_the_end(self) -> None:
        """Name what `default_args` asked for, and a task that doesn't wait can't do."""
        asked = [name for name in ("result_files", "emit_assets") if _is_asked_for(getattr(self, name, None))]
        if asked:
            self.log.warning("%s has no effect: the task doesn't wait for its job's end.", " and ".join(asked))

    def _end(
        self,
        context: Context,
        job: ProcessingJob,
        deadline: Deadline | None,
        refusals: Refusals | None = None,
        *,
        shown: dict[str, Any] | None = None,
        gave_up: bool = False,
    ) -> Any:
        """Wait for the job's end in this worker, and make the task's of it, or begin anew if there was no room."""
        modes = self._modes()
        self._passes_on = False
        if self._killed and self._attempt is not None:  # before it was known what job this stay waits for
            self._let_go(job, self._attempt)
        description = self._wait(context, job, modes, deadline, shown=shown, gave_up=gave_up)
        error = lacked_capacity(description)
        if error is None:
            return self._finish(context, job, description, modes)
        self._job = None
        if refusals is not None and time.time() - refusals.since >= modes.max_capacity_wait:
            job.raise_unless_completed(description)
        return self._run(context, self._await_room(context, error, refusals, modes))

    def _take_up(self, context: Context, job_name: str) -> ProcessingJob:
        """Give the job that the task waits for, in the worker that it resumes in."""
        from airflow_sm_processing.operators.attempt import Attempt

        self._attempt = Attempt(context)
        self._job = self.hook.job(job_name)
        return self._job

    def _defer(
        self,
        job: ProcessingJob,
        modes: Modes,
        deadline: Deadline | None,
        *,
        since: float,
        refusals: Refusals | None,
    ) -> NoReturn:
        from airflow_sm_processing.operators.endings import ends_from_trigger
        from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

        self.defer(
            trigger=ProcessingJobTrigger(
                job_name=job.job_name,
                connection=self._trigger_connection(),
                poll_interval=modes.poll_interval,
                deadline=deadline and list(deadline),
                max_transient_seconds=modes.max_transient_seconds,
                logs=modes.logs is True,
                since=since,
                hosts=job.instance_count,
                stop_on_kill=modes.stop_on_kill,
                end_task=ends_from_trigger(self, modes),
                mask_env=self.trigger_mask,
                lane=lane_of(read_task(self)[0]),
                refused_since=None if refusals is None else refusals.since,
            ),
            method_name="execute_complete",
            timeout=deadline and timedelta(seconds=max(0.0, deadline.seconds_left)) + BACKSTOP,
        )


def _is_asked_for(value: Any) -> bool:
    return bool(value) and truth(value) is not False


def _is_time_out() -> bool:
    """Return whether Airflow is handling the end of an `execution_timeout`."""
    from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

    return isinstance(sys.exc_info()[1], AirflowTaskTimeout)


def _unawaited_result(claimed: Claimed) -> dict[str, Any]:
    job, found = claimed
    if found is not None:
        return xcoms.ended_result(found)
    return xcoms.submitted_result(job.job_name, job.job_arn, job.output_uris)
