"""Reads and stops jobs in SageMaker, where the user allows it: few calls, whose results are cached for seconds."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timezone
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.operators.attempt import deployment
from airflow_sm_processing.ownership.claim import Account
from airflow_sm_processing.ownership.owner import Owner, number_of
from airflow_sm_processing.processing.description import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from airflow_sm_processing.processing import ProcessingJob, Session
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.ui.models import Job

__all__ = ["JobReference", "LiveStatus", "is_live_status_enabled", "with_live_status"]

log = logging.getLogger(__name__)

_TERMINAL = frozenset(status.value for status in JobStatus if status.is_terminal)
_CACHE_SECONDS = 5.0
_SESSION_SECONDS = 300.0  # after which a changed connection takes effect
_MAX_SESSIONS = 20  # a forged record may name any connection and region, and each client takes megabytes
_MAX_JOBS = 20  # of one page; SageMaker allows an account few calls a second
_MAX_VERIFIED = 10_000
_THREADS = 4


def is_live_status_enabled() -> bool:
    """Return whether the user lets the API server call SageMaker."""
    from airflow.configuration import conf

    return conf.getboolean("sm_processing", "ask_sagemaker", fallback=False)


class JobReference(NamedTuple):
    """A job, the connection that its task used, and the task instance whose record names it."""

    aws_conn_id: str | None
    region: str | None
    job_name: str
    owner: Owner

    @classmethod
    def of(cls, job: Job) -> JobReference:
        """Return the reference to a job. The owner is the task instance of the record, which can't be forged."""
        owner = Owner(
            deployment=deployment(),
            dag_id=job.dag_id,
            run_id=job.run_id,
            task_id=job.task_id,
            map_index=job.map_index,
        )
        return cls(job.aws_conn_id, job.region, job.job_name or "", owner)


@dataclass
class _SessionCache:
    """Sessions by connection and region, as a client is slow to create."""

    clock: Callable[[], float]
    _sessions: dict[tuple[str | None, str | None], tuple[float, Session]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def job(self, reference: JobReference) -> ProcessingJob:
        """Return a job whose calls have a short timeout and no retries."""
        from airflow_sm_processing.processing import ProcessingJob

        key = reference[:2]
        with self._lock:
            oldest = self.clock() - _SESSION_SECONDS
            self._sessions = {known: item for known, item in self._sessions.items() if item[0] >= oldest}
            if key not in self._sessions:
                item = (self.clock(), _session(reference))
                if len(self._sessions) == _MAX_SESSIONS:
                    del self._sessions[next(iter(self._sessions))]  # the oldest
                self._sessions[key] = item
            _, session = self._sessions[key]
        return ProcessingJob(session, reference.job_name, inputs=None, outputs=None)


def _session(reference: JobReference) -> Session:
    from airflow_sm_processing.processing import Session

    hook = AwsConnection(aws_conn_id=reference.aws_conn_id, region_name=reference.region).hook()
    return Session(sagemaker_client=hook.single_attempt_client("sagemaker"))


@dataclass
class LiveStatus:
    """Describes and stops jobs in SageMaker, and caches the descriptions. Thread-safe."""

    clock: Callable[[], float] = time.monotonic
    timeout: float = 4.0
    """How many seconds a page waits for SageMaker."""
    _sessions: _SessionCache = field(init=False)
    _calls: dict[JobReference, tuple[float, Future[JobDescription | str]]] = field(default_factory=dict)
    _verified: set[JobReference] = field(default_factory=set)
    """Jobs that are known to belong to their task instances."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="sm-processing-ui")
    )

    def __post_init__(self) -> None:
        self._sessions = _SessionCache(self.clock)

    def close(self) -> None:
        """Wait for the calls in progress, and accept no more."""
        self._threads.shutdown()

    def stop(self, job: JobReference) -> None:
        """Ask SageMaker to stop a job.

        Raises:
            ProcessingError: The call failed, or the job doesn't belong to the task instance.
        """
        try:
            self._describe_owned(job)
            self._sessions.job(job).stop()
        except ProcessingError:
            raise
        except Exception as error:
            raise ProcessingError(_call_failed(job, error)) from error
        with self._lock:
            self._calls.pop(job, None)

    def refresh(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs with their status from SageMaker, except those whose end is recorded."""
        references = [None if job.status in _TERMINAL else JobReference.of(job) for job in jobs]
        results = self.describe(filter(None, references))
        pairs = zip(jobs, references, strict=True)
        return [with_live_status(job, results[key]) if key in results else job for job, key in pairs]

    def describe(self, jobs: Iterable[JobReference]) -> dict[JobReference, JobDescription | str]:
        """Return the descriptions of the first twenty jobs, or the reasons why they couldn't be read."""
        with self._lock:
            self._drop_expired()
            futures = {job: self._future(job) for job in list(dict.fromkeys(jobs))[:_MAX_JOBS]}
        done, _ = wait(futures.values(), timeout=self.timeout)
        slow = "SageMaker hasn't responded yet."
        return {job: future.result() if future in done else slow for job, future in futures.items()}

    def _drop_expired(self) -> None:
        oldest = self.clock() - _CACHE_SECONDS
        self._calls = {job: item for job, item in self._calls.items() if item[0] > oldest or not item[1].done()}

    def _future(self, job: JobReference) -> Future[JobDescription | str]:
        if job not in self._calls:
            self._calls[job] = (self.clock(), self._threads.submit(self._describe, job))
        return self._calls[job][1]

    def _describe(self, job: JobReference) -> JobDescription | str:
        try:
            return self._describe_owned(job)
        except ProcessingError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # logged there
            return _call_failed(job, error)

    def _describe_owned(self, job: JobReference) -> JobDescription:
        """Return a job's description, after checking its owner by its own tags or name, since a record may be forged.

        Raises:
            ProcessingError: The call failed, or the job doesn't belong to the task instance.
        """
        description = self._sessions.job(job).description()
        if job not in self._verified and not self._is_owned(job, description):
            raise ProcessingError(
                f"Job {job.job_name} can't be shown or stopped here: neither its tags nor its name show that it "
                "belongs to this task instance. Check that [sm_processing] deployment has the same value on the API "
                "server and on the workers."
            )
        with self._lock:
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified.add(job)
        return description

    def _is_owned(self, job: JobReference, description: JobDescription) -> bool:
        """Return whether the job's tags name the owner; without such tags, its name must contain the task's digest."""
        tags = Account(self._sessions.job(job).sagemaker_session).tags(description.job_arn) or {}
        if job.owner.is_named_by(tags):
            return True
        return not job.owner.is_denied_by(tags) and number_of(job.job_name, job.owner.digest) is not None


def _call_failed(job: JobReference, error: Exception) -> str:
    """Log an error, which a connection or a secrets backend may raise of any type, and return a message for users."""
    log.warning("Could not call SageMaker for job %s.", job.job_name, exc_info=error)
    return f"Could not call SageMaker ({type(error).__name__}). See the API server's log for details."


def with_live_status(job: Job, result: JobDescription | str) -> Job:
    """Return a job with its status and times from SageMaker, but no messages: only tasks know which text to mask."""
    if isinstance(result, str):
        return job.model_copy(update={"status_note": " ".join(filter(None, (job.status_note, result)))})
    note = (
        None
        if result.status.value == job.status
        else f"Current status from SageMaker; the task last recorded {job.status}."
    )
    changes = {
        "status": result.status.value,
        "status_note": note,
        "created_at": _utc(result.created_at),
        "started_at": _utc(result.started_at),
        "ended_at": _utc(result.ended_at),
        "duration_seconds": result.duration_seconds,
        "instance_seconds": result.instance_seconds,
        "instance_type": result.instance_type,
        "instance_count": result.instance_count,
    }
    return job.model_copy(update=changes)


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(timezone.utc)
