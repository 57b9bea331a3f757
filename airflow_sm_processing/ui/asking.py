"""Asks SageMaker how jobs are, where the user has turned that on: a few calls, each answer kept for some seconds."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.operators.attempt import deployment
from airflow_sm_processing.ownership.client import Account
from airflow_sm_processing.ownership.owner import Owner, number_of
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.xcoms import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_sm_processing.processing import ProcessingJob, Session
    from airflow_sm_processing.processing.description import JobDescription

__all__ = ["AskedJob", "Asker", "asks_sagemaker", "told"]

log = logging.getLogger(__name__)

_ENDED = frozenset(status.value for status in JobStatus if status.is_terminal)
_KEPT_SECONDS = 5.0
_SESSION_SECONDS = 300.0  # then a changed connection is noticed
_MOST_SESSIONS = 20  # records name connections and regions, and they may be anybody's; a client has megabytes
_MOST_ASKED = 20  # jobs for one page; SageMaker gives an account few calls a second
_MOST_OWNERS = 10_000
_THREADS = 4


def asks_sagemaker() -> bool:
    """Tell whether the user lets the web server ask SageMaker."""
    from airflow.configuration import conf

    return conf.getboolean("sm_processing", "ask_sagemaker", fallback=False)


class AskedJob(NamedTuple):
    """A job, the connection that its task made it through, and the task instance whose record says so."""

    aws_conn_id: str | None
    region: str | None
    job_name: str
    owner: Owner

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> AskedJob:
        """Read a record and where it was found: its content may be anybody's, its place isn't."""
        owner = Owner(
            deployment=deployment(),
            dag_id=record["dag_id"],
            run_id=record["run_id"],
            task_id=record["task_id"],
            map_index=record["map_index"],
        )
        return cls(record["aws_conn_id"], record["region"], record["job_name"], owner)


@dataclass
class _Sessions:
    """Sessions by connection and region; a client takes a while to make."""

    clock: Callable[[], float]
    _made: dict[tuple[str | None, str | None], tuple[float, Session]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def job(self, job: AskedJob) -> ProcessingJob:
        """Give a handle, whose calls are tried once and don't take long."""
        from airflow_sm_processing.processing import ProcessingJob

        with self._lock:
            since = self.clock() - _SESSION_SECONDS
            self._made = {place: made for place, made in self._made.items() if made[0] >= since}
            if job[:2] not in self._made:
                made = (self.clock(), _session(job))
                if len(self._made) == _MOST_SESSIONS:
                    del self._made[next(iter(self._made))]  # the oldest
                self._made[job[:2]] = made
            _, session = self._made[job[:2]]
        return ProcessingJob(session, job.job_name, inputs=None, outputs=None)


def _session(job: AskedJob) -> Session:
    from airflow_sm_processing.processing import Session

    hook = AwsConnection(aws_conn_id=job.aws_conn_id, region_name=job.region).hook()
    return Session(sagemaker_client=hook.single_attempt_client("sagemaker"))


@dataclass
class Asker:
    """Keeps what it was told; may be used by several threads."""

    clock: Callable[[], float] = time.monotonic
    patience: float = 4.0
    """Seconds that a page waits for answers."""
    _sessions: _Sessions = field(init=False)
    _asked: dict[AskedJob, tuple[float, Future[JobDescription | str]]] = field(default_factory=dict)
    _owners: set[AskedJob] = field(default_factory=set)
    """Jobs of which it is known that they are their task instances'."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="sm-processing-ui")
    )

    def __post_init__(self) -> None:
        self._sessions = _Sessions(self.clock)

    def close(self) -> None:
        """Wait for the answers that are due, and ask no more."""
        self._threads.shutdown()

    def stop(self, job: AskedJob) -> None:
        """Ask SageMaker to stop a job.

        Raises:
            ProcessingError: It couldn't be asked, or refused, or the job isn't the task instance's.
        """
        try:
            self._owned(job)
            self._sessions.job(job).stop()
        except ProcessingError:
            raise
        except Exception as error:
            raise ProcessingError(_not_asked(job, error)) from error
        with self._lock:
            self._asked.pop(job, None)

    def brought_up_to_date(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give the records with what SageMaker says of those jobs whose end isn't recorded."""
        jobs = [None if record["status"] in _ENDED else AskedJob.of_record(record) for record in records]
        answers = self.ask(filter(None, jobs))
        pairs = zip(records, jobs, strict=True)
        return [told(record, answers[job]) if job in answers else record for record, job in pairs]

    def ask(self, jobs: Iterable[AskedJob]) -> dict[AskedJob, JobDescription | str]:
        """Give the descriptions of jobs, or why they aren't known; those beyond the first twenty aren't asked for."""
        with self._lock:
            self._forget_old()
            futures = {job: self._future(job) for job in list(dict.fromkeys(jobs))[:_MOST_ASKED]}
        done, _ = wait(futures.values(), timeout=self.patience)
        slow = "SageMaker hasn't answered yet."
        return {job: future.result() if future in done else slow for job, future in futures.items()}

    def _forget_old(self) -> None:
        since = self.clock() - _KEPT_SECONDS
        self._asked = {job: item for job, item in self._asked.items() if item[0] > since or not item[1].done()}

    def _future(self, job: AskedJob) -> Future[JobDescription | str]:
        if job not in self._asked:
            self._asked[job] = (self.clock(), self._threads.submit(self._described, job))
        return self._asked[job][1]

    def _described(self, job: AskedJob) -> JobDescription | str:
        try:
            return self._owned(job)
        except ProcessingError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # logged there
            return _not_asked(job, error)

    def _owned(self, job: AskedJob) -> JobDescription:
        """Return how a job is, which must be the task instance's by its own tags or name: a record is no authority.

        Raises:
            ProcessingError: It couldn't be asked, or the job belongs to somebody else.
        """
        description = self._sessions.job(job).description()
        if job not in self._owners and not self._is_owned(job, description):
            raise ProcessingError(
                f"Job {job.job_name} isn't shown or stopped from here: neither its tags nor its name say that it "
                "belongs to this task instance. Does the API server have the same [sm_processing] deployment as the "
                "workers?"
            )
        with self._lock:
            if len(self._owners) >= _MOST_OWNERS:
                self._owners.clear()
            self._owners.add(job)
        return description

    def _is_owned(self, job: AskedJob, description: JobDescription) -> bool:
        """Ask for the job's tags; where they don't tell, or may not be read, its name has to have the task's digest."""
        tags = Account(self._sessions.job(job).sagemaker_session).tags(description.job_arn) or {}
        if job.owner.is_named_by(tags):
            return True
        return not job.owner.is_denied_by(tags) and number_of(job.job_name, job.owner.digest) is not None


def _not_asked(job: AskedJob, error: Exception) -> str:
    """Say and log that SageMaker couldn't be asked, by an error of connections' and secrets backends' many kinds."""
    log.warning("SageMaker couldn't be asked for job %s.", job.job_name, exc_info=error)
    return f"SageMaker couldn't be asked: {type(error).__name__}. The API server's log says more."


def told(record: dict[str, Any], answer: JobDescription | str) -> dict[str, Any]:
    """Give a record with what SageMaker says: its status and times, but no text, for only tasks know what to hide."""
    if isinstance(answer, str):
        return {**record, "status_note": " ".join(filter(None, (record["status_note"], answer)))}
    note = None if answer.status.value == record["status"] else f"SageMaker says so; recorded is {record['status']}."
    return {
        **record,
        "status": answer.status.value,
        "status_note": note,
        "created_at": moment(answer.created_at),
        "started_at": moment(answer.started_at),
        "ended_at": moment(answer.ended_at),
        "duration_seconds": answer.duration_seconds,
        "instance_seconds": answer.instance_seconds,
        "instance_type": answer.instance_type,
        "instance_count": answer.instance_count,
    }
