"""Stop a task's job, or leave it to the next try, when the task's process fails or gets SIGTERM."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ProcessingError, TransientError, WaitTimeoutError
from airflow_sm_processing.operators.attempt import Attempt, Termination, WorkerShutdownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.operators.parameters import WaitOptions
    from airflow_sm_processing.processing.job import ProcessingJob

__all__ = ["JobGuard", "Release"]

log = logging.getLogger(__name__)

_HANDLER_SECONDS = 3.0  # Airflow kills a task 5 s after the SIGTERM that a user's action causes
_LONGEST_SECONDS = 20.0
_ANSWER_SECONDS = 15.0  # how long to wait for Airflow's answer; Kubernetes kills a pod 30 s after SIGTERM
_ANSWER_SECONDS_WITHOUT_NEXT_TRY = 2.0  # shorter, so that there is time to stop the job


class JobGuard:
    """Makes sure that no job runs on unseen when its process ends: stops it, or leaves it to the task's next try."""

    def __init__(self, attempt: Attempt, options: WaitOptions, log: Any) -> None:
        """Begin without a job.

        Args:
            attempt: This process's try.
            options: The task's wait options.
            log: The task's logger.
        """
        self.job: ProcessingJob | None = None
        """The job that the task waits for; None before there is one, and when it has ended."""
        self.killed = False
        """Whether this process was told to end by SIGTERM, which by itself doesn't end the task."""
        self.hands_on = False
        """Whether this process only submits the job, and then leaves it to a trigger or doesn't wait at all."""
        self._attempt = attempt
        self._options = options
        self._log = log
        self._is_stopping = False
        self._release: Release | None = None

    def kill(self) -> None:
        """Stop the job, or leave it to the next try: this process must end, or `execution_timeout` is over."""
        self.killed = True
        if self.job is None:
            return
        if _is_timeout():
            self.stop(self.job)
        else:
            self.release(self.job)

    def release(self, job: ProcessingJob) -> None:
        """Stop the job, or leave it to the next try: this process got SIGTERM."""
        if self._release is not None:  # a second signal, since the supervisor forwards its own
            return
        self._release = Release(
            self._attempt,
            job.job_name,
            hands_on=self.hands_on,
            is_taken_next=self._options.on_existing_job == "reattach",
            stop=lambda: self.stop(job),
        )
        self._release.begin()

    def settle(self) -> None:
        """If this process was told to end, wait until the job is stopped or left to others."""
        if self._release is not None:
            self._release.wait()

    def stop(self, job: ProcessingJob) -> None:
        """Stop the job, unless `stop_on_kill=False`."""
        if not self._options.stop_on_kill:
            self._log.warning("Processing job %s goes on without its task: stop_on_kill=False.", job.job_name)
            return
        try:
            job.stop()
            self._is_stopping = True
        except ProcessingError as error:
            # Not raised: the task is already ending, and the reason for that must not be hidden by this error.
            self._log.error(  # the message has it all
                "Processing job %s could not be stopped and may still run: %s", job.job_name, error
            )

    def check_may_create(self) -> None:
        """Raise if this process must no longer create a job."""
        self._attempt.check_supervisor()
        self._check_not_killed()

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise if this process was told to end meanwhile."""
        time.sleep(seconds)
        self._check_not_killed()

    def _check_not_killed(self) -> None:
        if self.killed:  # SIGTERM by itself doesn't end a task
            raise ProcessingError("The task was ended from outside before its job was created.")

    def is_stopping(self) -> bool:
        """Return whether the job is being stopped because the task was ended.

        Raises:
            WorkerShutdownError: The job is left to the next try, so this try has to end.
        """
        if self._release is not None and self._release.error is not None:
            raise self._release.error
        return self._is_stopping

    def is_for_next_try(self) -> bool:
        """Return whether the next try will look for a job that this one may have created without knowing."""
        if not self.killed or not self._attempt.is_followed:
            return self._attempt.is_followed
        is_ended = self._attempt.termination(within=_ANSWER_SECONDS_WITHOUT_NEXT_TRY) is Termination.ENDED
        return not is_ended and self._options.on_existing_job == "reattach"

    @contextmanager
    def released_on_failure(
        self, job: ProcessingJob, *, record_as_left: Callable[[ProcessingJob], None]
    ) -> Iterator[None]:
        """Leave the job to the task's next try when the block fails; if there is no next try, stop the job.

        A job whose status couldn't be read may be fine, so it isn't stopped in either case. Neither is one whose worker
        shuts down.
        """
        try:
            yield
        except Exception as error:
            if self._is_left():
                self._log.warning("Processing job %s goes on without this try.", job.job_name)
            elif self._is_left_to_next_try(error):
                self._log.warning("Processing job %s is left to the task's next try.", job.job_name)
            elif isinstance(error, TransientError):
                self._log.error(  # the error itself is raised
                    "Processing job %s keeps running, but no retry will wait for it. Its status couldn't be read for "
                    "max_transient_seconds, which is no reason to stop it. See the job in the AWS console. Clear the "
                    "task to stop it and start another.",
                    job.job_name,
                )
            else:
                self.stop(job)
                record_as_left(job)
            raise

    def _is_left(self) -> bool:
        """Wait until the release is finished, and return whether it left the job to others."""
        self.settle()
        return self._release is not None and self._release.is_left

    def _is_left_to_next_try(self, error: Exception) -> bool:
        """Return whether Airflow will start another try, which then takes over the job."""
        from airflow_sm_processing.airflow_compat import AirflowFailException

        if not self._attempt.is_followed or self._is_stopping:
            return False
        is_over = isinstance(error, (WaitTimeoutError, AirflowFailException))
        return self._attempt.is_orphaned or (not is_over and self._options.on_existing_job == "reattach")


def _is_timeout() -> bool:
    """Return whether Airflow is ending the task because of its `execution_timeout`."""
    from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

    return isinstance(sys.exc_info()[1], AirflowTaskTimeout)


class Release:
    """Releases a job: stops it if somebody ended the task, leaves it to the next try if the worker shuts down.

    Both cases send the same signal, but the task's state in Airflow differs. A thread asks for it, because the signal's
    handler may have interrupted a request to Airflow, or code that holds a lock.
    """

    def __init__(
        self,
        attempt: Attempt,
        job_name: str,
        *,
        hands_on: bool,
        is_taken_next: bool,
        stop: Callable[[], None],
    ) -> None:
        """Prepare the release.

        Args:
            attempt: The try of the process that has to end.
            job_name: The job's name.
            hands_on: Whether this process only submits the job, and leaves it to a trigger or doesn't wait at all.
            is_taken_next: Whether the next try, if there is one, takes over the job.
            stop: Stops the job.
        """
        self.error: WorkerShutdownError | None = None
        """The error to end the try with; set once it is known that its worker shuts down and the job is left."""
        self.is_left = False
        """Whether somebody else waits for the job."""
        self._attempt = attempt
        self._job_name = job_name
        self._hands_on = hands_on
        self._is_taken_next = is_taken_next
        self._stop = stop
        self._thread = threading.Thread(target=self._run, daemon=True, name="release")

    def begin(self) -> None:
        """Begin, and return when the release is done, or after three seconds; it then continues in its thread."""
        self._thread.start()
        self._thread.join(_HANDLER_SECONDS)

    def wait(self) -> None:
        """Wait until the release is done; the process must not end earlier."""
        self._thread.join(_LONGEST_SECONDS)

    def _run(self) -> None:
        is_followed = self._is_taken_next and self._attempt.is_followed
        within = _ANSWER_SECONDS if is_followed or self._hands_on else _ANSWER_SECONDS_WITHOUT_NEXT_TRY
        why = self._attempt.termination(within=within)
        if why is Termination.SUPERSEDED:
            self.is_left = True
            log.info("Processing job %s goes on: a later try of the task waits for it.", self._job_name)
        elif why is Termination.ENDED:
            self._stop()
        else:
            self._shut_down()

    def _shut_down(self) -> None:
        error = WorkerShutdownError(
            f"This worker is shutting down. Processing job {self._job_name} goes on: the task's next try waits for it."
        )
        if self._hands_on:
            self.is_left = True
            log.info("This worker is shutting down. Processing job %s goes on.", self._job_name)
        elif self._is_taken_next and self._attempt.is_retried_after(error):
            self.is_left = True
            self.error = error
        else:
            log.warning(
                "This worker is shutting down, and no next try of the task would wait for processing job %s.",
                self._job_name,
            )
            self._stop()
