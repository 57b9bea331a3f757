"""What becomes of a task's job when its process is told to end, by SIGTERM."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from airflow_sm_processing.operators.attempt import Attempt, Termination
from airflow_sm_processing.operators.errors import WorkerShutdownError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Release"]

log = logging.getLogger(__name__)

_HANDLER_SECONDS = 3.0  # Airflow kills a task 5 s after the SIGTERM that follows a user's act
_LONGEST_SECONDS = 20.0
_PATIENCE_SECONDS = 15.0  # with an Airflow that doesn't answer; Kubernetes kills a pod 30 s after SIGTERM
_PATIENCE_WITHOUT_NEXT_TRY_SECONDS = 2.0  # then the job is stopped, while there is time


class Release:
    """Lets go of a job: stops it if somebody ended the task, leaves it to the next try if the worker is to end.

    Both bring the same signal, and Airflow's state of the task tells them apart. That is asked in a thread: the
    signal's handler may have interrupted a question to Airflow, or something that holds a lock.
    """

    def __init__(
        self,
        attempt: Attempt,
        job_name: str,
        *,
        passes_on: bool,
        is_taken_next: bool,
        stop: Callable[[], None],
    ) -> None:
        """Prepare it.

        Args:
            attempt: Of the process that is to end.
            job_name: The job's.
            passes_on: Whether this process doesn't wait for the job, but hands it on to a trigger or to nobody.
            is_taken_next: Whether a next try, if there is one, waits for the job.
            stop: Stops the job.
        """
        self.error: WorkerShutdownError | None = None
        """What the try is to end with, as soon as it is known that its worker ends and the job is left."""
        self.is_left = False
        """Whether somebody else waits for the job."""
        self._attempt = attempt
        self._job_name = job_name
        self._passes_on = passes_on
        self._is_taken_next = is_taken_next
        self._stop = stop
        self._thread = threading.Thread(target=self._let_go, daemon=True, name="release")

    def begin(self) -> None:
        """Let go, and return when that is done, or after three seconds: it goes on then."""
        self._thread.start()
        self._thread.join(_HANDLER_SECONDS)

    def wait(self) -> None:
        """Wait until it is done: the process must not end before."""
        self._thread.join(_LONGEST_SECONDS)

    def _let_go(self) -> None:
        is_followed = self._is_taken_next and self._attempt.is_followed
        patience = _PATIENCE_SECONDS if is_followed or self._passes_on else _PATIENCE_WITHOUT_NEXT_TRY_SECONDS
        why = self._attempt.termination(within=patience)
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
        if self._passes_on:
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
