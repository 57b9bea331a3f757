"""How a task waits in a worker, and what the job's end makes of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_sm_processing import xcoms
from airflow_sm_processing.exceptions import TransientError, WaitTimeoutError
from airflow_sm_processing.metrics import job_ended
from airflow_sm_processing.operators.assets import tell_assets
from airflow_sm_processing.operators.lineage import TracedJob, TracedTask
from airflow_sm_processing.operators.recording import measured, record_as_left, record_end, record_progress
from airflow_sm_processing.operators.result_files import push_result_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from airflow.sdk import Context

    from airflow_sm_processing.operators.modes import Modes
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.s3 import Size
    from airflow_sm_processing.triggers.events import Deadline

__all__ = ["AwaitingTask"]


class AwaitingTask(TracedTask):
    """A task that sees the end of its processing job."""

    def _wait(
        self,
        context: Context,
        job: ProcessingJob,
        modes: Modes,
        deadline: Deadline | None,
        *,
        shown: dict[str, Any] | None = None,
        gave_up: bool = False,
    ) -> JobDescription:
        """Wait in this worker, to show the log from where the trigger left off, and give the job at its end.

        Args:
            context: Of the task instance.
            job: What to wait for.
            modes: How.
            deadline: When to give up.
            shown: The position that the trigger left in the log.
            gave_up: Whether the trigger has stopped the job at its deadline.
        """
        from airflow_sm_processing.processing.description import JobStatus
        from airflow_sm_processing.processing.log_events import LogPosition
        from airflow_sm_processing.processing.waiter import WaitSettings

        settings = WaitSettings(
            poll_interval=modes.poll_interval,
            max_wait=deadline and max(0.0, deadline.seconds_left),
            max_transient_seconds=modes.max_transient_seconds,
        )
        try:
            with self._let_go_if_it_fails(context, job, modes):
                description = job.wait_for_end(
                    logs=modes.logs,
                    settings=settings,
                    sink=lambda line: self.log.info("%s", line),
                    log_position=None if shown is None else LogPosition.from_plain(shown),
                    on_change=lambda seen: record_progress(self, context, job, seen, modes),
                    is_ending=self._is_ending,
                )
        except WaitTimeoutError:
            self._give_up(job, deadline)
        if gave_up and description.status is JobStatus.STOPPED:
            self._note_end(context, job, description, modes)
            self._give_up(job, deadline)
        return description

    def _is_ending(self) -> bool:
        """Return whether the job is being stopped, for the task was ended; if it is left to the next try, end this."""
        if self._release is not None and self._release.error is not None:
            raise self._release.error
        return self._is_stopping

    @contextmanager
    def _let_go_if_it_fails(self, context: Context, job: ProcessingJob, modes: Modes) -> Iterator[None]:
        """Leave the job to the task's next try when the block fails; without one, stop it, for nobody waits any more.

        A job that couldn't be seen may be well: it isn't stopped in either case. Nor is one whose worker shuts down.
        """
        try:
            yield
        except Exception as error:
            if self._is_left():
                self.log.warning("Processing job %s goes on without this try.", job.job_name)
            elif self._is_left_to_next_try(error, modes):
                self.log.warning("Processing job %s is left to the task's next try.", job.job_name)
            elif isinstance(error, TransientError):
                self.log.error(  # noqa: TRY400  # the error itself is raised
                    "Processing job %s goes on, and no try follows that would wait for it: it couldn't be seen for "
                    "max_transient_seconds, which is no reason to stop it. Look at it in the AWS console. Clear the "
                    "task to stop it and start another.",
                    job.job_name,
                )
            else:
                self._stop(job)
                record_as_left(self, context, job, modes)
            raise

    def _is_left_to_next_try(self, error: Exception, modes: Modes) -> bool:
        """Tell whether Airflow will start another try, which takes the job over."""
        from airflow_sm_processing.airflow_compat import AirflowFailException

        attempt = self._attempt
        if attempt is None or not attempt.is_followed or self._is_stopping:
            return False
        is_over = isinstance(error, (WaitTimeoutError, AirflowFailException))
        return attempt.is_orphaned or (not is_over and modes.on_existing_job == "reattach")

    def _finish(self, context: Context, job: ProcessingJob, description: JobDescription, modes: Modes) -> Any:
        """Make the task's end of the job's: the same in every mode."""
        from airflow_sm_processing.processing.description import JobStatus

        sizes = self._note_end(context, job, description, modes)
        self._job = None
        if description.status is JobStatus.STOPPED and modes.on_stopped == "skip":
            self._skip(f"Processing job {job.job_name} was stopped.")
        if modes.skips_on_exit_of(description):
            self._skip(f"Processing job {job.job_name} ended with exit code {description.exit_code}.")
        if description.status is not JobStatus.STOPPED or modes.on_stopped != "succeed":
            job.raise_unless_completed(description)
        result = self._result(context, job, description, modes)  # before anything is pushed: it may be refused
        if description.status.is_success:
            push_result_files(self, context, description, max_transient_seconds=modes.max_transient_seconds)
            tell_assets(self, context, description, sizes)
        return result

    def _result(self, context: Context, job: ProcessingJob, description: JobDescription, modes: Modes) -> Any:  # noqa: ARG002  # others need them
        """Return the task's result, of a job that has ended well or was stopped."""
        return xcoms.ended_result(description)

    def _skip(self, reason: str) -> NoReturn:
        from airflow_sm_processing.airflow_compat import AirflowSkipException

        raise AirflowSkipException(reason)

    def _note_end(
        self, context: Context, job: ProcessingJob, description: JobDescription, modes: Modes
    ) -> Mapping[str, Size | None]:
        """Count, record and trace a job that has ended; give the sizes of what it read and wrote."""
        job_ended(description, dag_id=self.dag_id, task_id=self.task_id)
        sizes = measured(self, description)
        self._traced = TracedJob(description, sizes)
        record_end(self, context, job, description, modes, sizes)
        return sizes

    def _give_up(self, job: ProcessingJob, deadline: Deadline | None) -> NoReturn:
        self._job = None
        if deadline is not None and deadline.bound == "execution_timeout":
            from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

            what = "was stopped" if self._modes().stop_on_kill else "goes on, for stop_on_kill=False"
            raise AirflowTaskTimeout(f"execution_timeout is over: processing job {job.job_name} {what}.") from None
        raise WaitTimeoutError(job.job_name, waited_seconds=self._modes().max_wait or 0.0) from None
