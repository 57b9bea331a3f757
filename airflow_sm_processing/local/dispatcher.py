"""Jobs waiting for their turn, and those that run."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_sm_processing.local.errors import ServiceError
from airflow_sm_processing.local.jobs import Job, Status
from airflow_sm_processing.local.runner import JobRunner, Workshop

if TYPE_CHECKING:
    from collections.abc import Callable


class Dispatcher:
    """Runs at most so many jobs at once, first come, first served."""

    def __init__(self, workshop: Callable[[], Workshop], *, max_jobs: int, closing: threading.Event) -> None:
        self._workshop = workshop
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_jobs, thread_name_prefix="job")
        self._futures: dict[Job, Future[None]] = {}
        self._closing = closing

    def submit(self, job: Job) -> None:
        """Run a job when there is room for it.

        Raises:
            ServiceError: ServiceUnavailable, when the server is about to end.
        """
        with self._lock:
            if self._closing.is_set():
                raise ServiceError("ServiceUnavailable", "The local SageMaker is ending.", status=503)
            self._futures[job] = self._pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        try:
            JobRunner(job, self._workshop(), closing=self._closing).run()
        finally:
            with self._lock:
                del self._futures[job]

    def stop(self, job: Job) -> None:
        """Stop a job; one that still waits for its turn is Stopped at once."""
        job.stop()
        with self._lock:
            future = self._futures.get(job)
            if future is None or not future.cancel():
                return
            del self._futures[job]
        job.end(Status.STOPPED)

    def close(self) -> None:
        """Stop all jobs, without the grace that a user's stop gives, and wait for their end."""
        with self._lock:
            self._closing.set()
            jobs = list(self._futures)
        for job in jobs:
            with contextlib.suppress(ServiceError):  # it has just ended by itself
                self.stop(job)
            with job.wake:
                job.wake.notify_all()
        self._pool.shutdown()
