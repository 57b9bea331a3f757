"""The instances of a job while their commands run: started, watched, sent home."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local.jobs import Job, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_sm_processing.local.container import Instance
    from airflow_sm_processing.local.images import Interpreter
    from airflow_sm_processing.local.outputs import Output

CONTINUOUS_SECONDS = 1.0
"""How often a Continuous output is looked at."""
CLOSING_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL when the server itself ends."""


class Crew:
    """Waits for all of a job's instances at once, on the job's own condition."""

    def __init__(self, job: Job, instances: Sequence[Instance], *, closing: threading.Event) -> None:
        self._job = job
        self._instances = instances
        self._closing = closing
        self._waiters: list[threading.Thread] = []
        self._errors: list[Exception] = []
        self._running = 0
        self.failed: Instance | None = None
        """The first whose command failed; the others were stopped because of it."""

    def start(self, image: Interpreter, logs: Any) -> None:
        """Start every instance's command."""
        for instance in self._instances:
            instance.start(image, logs)
            waiter = threading.Thread(target=self._wait, args=[instance], name=f"wait-{self._job.name}", daemon=True)
            self._waiters.append(waiter)
            with self._job.wake:
                self._running += 1
            waiter.start()

    def _wait(self, instance: Instance) -> None:
        error = None
        try:
            instance.wait()
        except Exception as caught:  # noqa: BLE001  # dismiss raises it, in the thread that runs the job
            error = caught
        with self._job.wake:
            if error:
                self._errors.append(error)
            if instance.exit_code and self.failed is None:
                self.failed = instance
            self._running -= 1
            self._job.wake.notify_all()

    def watch(self, limit: float | None, continuous: Sequence[Output]) -> bool:
        """Upload Continuous outputs until the commands end, one fails, or the job is to stop.

        Returns:
            False if `limit` seconds passed first.

        Raises:
            OutputError: an output can't be uploaded.
        """
        deadline = time.monotonic() + limit if limit is not None else float("inf")
        tick = CONTINUOUS_SECONDS if continuous else threading.TIMEOUT_MAX
        while (left := deadline - time.monotonic()) > 0:
            with self._job.wake:
                if self._job.wake.wait_for(self._is_over, timeout=min(tick, left)):
                    return True
            for output in continuous:
                output.upload()
        return False

    def _is_over(self) -> bool:
        is_stopping = self._job.status is Status.STOPPING
        return is_stopping or not self._running or self.failed is not None or bool(self._errors)

    def dismiss(self, grace: float) -> None:
        """Send SIGTERM to whoever still runs, and SIGKILL after `grace` seconds.

        Raises:
            Exception: what kept an instance from running.
        """
        for instance in self._instances:
            instance.terminate()
        with self._job.wake:
            self._job.wake.wait_for(lambda: not self._running or self._closing.is_set(), timeout=grace)
            if self._closing.is_set():
                self._job.wake.wait_for(lambda: not self._running, timeout=CLOSING_GRACE)
        self.kill()
        if self._errors:
            raise self._errors[0]

    def kill(self) -> None:
        """End all processes and wait for their end."""
        for instance in self._instances:
            instance.kill()
        for waiter in self._waiters:
            waiter.join()
