"""Wait for a processing job in the triggerer, and stop it when its task is ended from outside."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_processing.exceptions import JobNotFoundError, ProcessingError, TransientError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.metrics import job_ended
from airflow_sm_processing.processing.aws_calls import RetryBudget, answer_read, jittered
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.processing.job import JobLookup, NewestJob
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.processing.values import DEFAULT_MAX_TRANSIENT_SECONDS, DEFAULT_POLL_INTERVAL
from airflow_sm_processing.triggers.events import Deadline, DeferredTask, JobEvent, settled
from airflow_sm_processing.triggers.live_log import LiveLog, NoLog
from airflow_sm_processing.triggers.shared_watcher import shared_watcher
from airflow_sm_processing.watcher.queries import checked_page, status_of
from airflow_sm_processing.watcher.watcher import stop_job
from airflow_sm_processing.watcher.watches import JobEnd, JobOutcome, Watch
from airflow_sm_processing.xcoms import (
    JOB_NAME_KEY,
    RECORD_KEY,
    RESULT_KEY,
    ended_record,
    ended_result,
    stopping_record,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from airflow_sm_processing.triggers.shared_watcher import SharedWatcher, TriggerWatcher

__all__ = [
    "AIRFLOW_CALLS_ON_KILL",
    "CapacityTrigger",
    "JobSensorTrigger",
    "ProcessingJobTrigger",
    "Refusals",
    "stop_unless_waited_for",
    "success_event",
]


log = logging.getLogger(__name__)


AIRFLOW_CALLS_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Whether Airflow notifies triggers when a user ends their task: 3.3 and newer do."""

_STOP_SECONDS = 600.0
_END_SECONDS = 3600.0  # for a stopped job to end: SIGTERM, two minutes, SIGKILL, and its uploads
_DEFERRED = "deferred"
_WAITING_STATES = frozenset({_DEFERRED, "running"})
_ENDED_STATES = frozenset({"failed", "success", "skipped"})
_PAUSES = (
    1,
    5,
    15,
    60,
)  # seconds between requests while Airflow doesn't answer; after that, the task counts as ended
_AT_ONCE = 5
_questions: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_QUESTIONS = 60  # one per second; a task's process takes seconds to load its DAG file
_under_way: set[asyncio.Task[None]] = set()


async def stop_unless_waited_for(job_name: str, connection: AwsConnection, task: DeferredTask | None) -> None:
    """Stop the job, unless its task waits for it in another triggerer or in a worker.

    This runs in a separate asyncio task, which goes on when the caller is cancelled: Airflow repeats the cancellation
    each second, and waits at most 30 s for a trigger, but stopping a thousand jobs takes longer.
    """
    await asyncio.shield(_begun(_stop(job_name, connection, task)))


def _begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    _under_way.add(task)  # the event loop itself doesn't keep a reference
    task.add_done_callback(_under_way.discard)
    return task


async def _stop(job_name: str, connection: AwsConnection, task: DeferredTask | None) -> None:
    try:
        if await _is_waited_for(job_name, task):
            log.info("Processing job %s goes on: another process waits for it.", job_name)
            return
        log.info("No task waits for processing job %s any more: stopping it.", job_name)
        async with shared_watcher(connection) as shared:
            await stop_job(shared.calls, job_name, RetryBudget(_STOP_SECONDS))
    except ProcessingError as error:
        log.error("Processing job %s could not be stopped and may still run: %s", job_name, error)  # noqa: TRY400  # the message is complete
        return
    if task is not None and await _updated_record(job_name, task, stopping_record):
        _begun(_record_stopped(job_name, connection, task))


async def _record_stopped(job_name: str, connection: AwsConnection, task: DeferredTask) -> None:
    """Wait for the end of a stopped job, and record it, since its task has ended and nothing else will."""
    async with shared_watcher(connection) as shared:
        end = await shared.jobs.end_of(
            Watch(job_name=job_name, deadline=time.time() + _END_SECONDS, stop_at_deadline=False)
        )
        if end.outcome is not JobOutcome.ENDED:
            log.info("How job %s ended isn't recorded: %s", job_name, end.message or end.outcome.value)
            return
        try:
            answer = await shared.calls.sagemaker("describe_processing_job", job_name, {"ProcessingJobName": job_name})
            with answer_read("DescribeProcessingJob", job_name):
                description = JobDescription.from_response(answer).without(JobSecrets())
        except ProcessingError as error:
            log.info("How job %s ended isn't recorded: %s", job_name, error)
            return
    await _updated_record(job_name, task, lambda record: ended_record(record, description))


async def _updated_record(
    job_name: str, task: DeferredTask, update: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> bool:
    """Update the job's record for the UI, unless the task goes on or has another job; return whether it was updated."""
    try:
        async with _few_at_a_time():
            record = await task.xcom(RECORD_KEY)
            if record is None or record["job_name"] != job_name or await task.state() not in _ENDED_STATES:
                return False
            await task.set_xcom(RECORD_KEY, update(record))
    except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; the job is stopped, which is what counts
        log.warning("Airflow's pages don't show that job %s was stopped: %r", job_name, error)
        return False
    return True


async def _is_waited_for(job_name: str, task: DeferredTask | None) -> bool:
    """Ask Airflow whether the task still waits for the job; without an answer, the cancellation means it doesn't."""
    if task is None:
        return not AIRFLOW_CALLS_ON_KILL
    for pause in _PAUSES:
        try:
            return await _has_a_waiter(job_name, task)
        except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; none means that the task waits
            log.warning("Could not read from Airflow whether the task of job %s still waits: %r", job_name, error)
            if not AIRFLOW_CALLS_ON_KILL:  # a stopping triggerer can't ask any more, and its task goes on
                return True
        await asyncio.sleep(pause)
    return False


def _few_at_a_time() -> asyncio.Semaphore:
    """Return a semaphore that protects the supervisor, which answers about fifty requests per second.

    Thousands of tasks may be marked at once.
    """
    loop = asyncio.get_running_loop()
    if loop not in _questions:
        _questions[loop] = asyncio.Semaphore(_AT_ONCE)
    return _questions[loop]


async def _has_a_waiter(job_name: str, task: DeferredTask) -> bool:
    """Return whether the task waits for the job; ask again while a worker runs the task.

    A cleared task's next try has the last try's XComs until it begins.
    """
    for _ in range(_QUESTIONS):
        async with _few_at_a_time():
            state = await task.state()
            if state not in _WAITING_STATES or await task.xcom(JOB_NAME_KEY) != job_name:
                return False
        if state == _DEFERRED:
            return True
        await asyncio.sleep(1)
    return True


async def success_event(
    shared: SharedWatcher, job_name: str, live_log: LiveLog | NoLog, task: DeferredTask | None, secrets: JobSecrets
) -> TriggerEvent | None:
    """Return the event that ends the task of a completed job with its result; None if a worker has to do it."""
    from airflow.triggers.base import TaskSuccessEvent

    try:
        answer = await shared.calls.sagemaker("describe_processing_job", job_name, {"ProcessingJobName": job_name})
        with answer_read("DescribeProcessingJob", job_name):
            status_of(job_name, answer)
            described = JobDescription.from_response(answer)
    except ProcessingError as error:
        log.info("A worker ends the task, for the job's result couldn't be read: %s", error)
        return None
    description = described.without(secrets)
    live_log.report_environment(description.environment)
    if not description.status.is_success or not await live_log.finish():
        return None
    result = ended_result(description)
    if task is None:
        return TaskSuccessEvent(xcoms={RESULT_KEY: result})
    try:
        await _record_end(task, description)
        await task.set_xcom(RESULT_KEY, result)  # Airflow would write a value in the event as JSON within JSON
        await live_log.forget_position()
    except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; a worker can do the same
        log.warning("The triggerer couldn't store the task's result, so a worker ends the task: %r", error)
        return None
    job_ended(description, dag_id=task.dag_id, task_id=task.task_id)  # last: a worker counts what it ends
    return TaskSuccessEvent()


async def _record_end(task: DeferredTask, description: JobDescription) -> None:
    """Record the job's end for Airflow's UI; only a worker can record its sizes and last lines."""
    record = await task.xcom(RECORD_KEY)
    if record is not None and record["job_name"] == description.job_name:
        await task.set_xcom(RECORD_KEY, ended_record(record, description))


_JUST_MADE = 30.0  # seconds from the job's creation to its trigger's start, with a margin


class ProcessingJobTrigger(BaseTrigger):
    """Fires once, with a `JobEvent`, when the job has ended or its deadline has passed.

    All triggers of a connection in one triggerer share a watcher and a reader of the jobs' logs.
    """

    def __init__(
        self,
        job_name: str,
        connection: dict[str, Any] | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        deadline: Sequence[Any] | None = None,
        max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS,
        logs: bool = False,
        since: float | None = None,
        hosts: int | None = None,
        stop_on_kill: bool = True,
        end_task: bool = False,
        mask_env: bool | Sequence[str] = True,
        queue_key: str = "",
        refused_since: float | None = None,
    ) -> None:
        """Set plain values only, since they are stored in Airflow's database.

        Args:
            job_name: The job to wait for.
            connection: The fields of an `AwsConnection`.
            poll_interval: How often the job is polled, in seconds.
            deadline: The fields of a `Deadline`; None waits as long as the job runs.
            max_transient_seconds: How long to retry throttling, 5xx errors and lost connections, in seconds.
            logs: Whether the job's lines are logged while it runs.
            since: A time in seconds since the epoch before which the job can't have ended; it saves calls.
            hosts: The number of hosts that write a log, if known; it saves calls.
            stop_on_kill: Whether to stop the job when its task stops waiting for it.
            end_task: Whether a completed job ends the task at once, with its XCom, without a worker.
            mask_env: The variables of the job's environment whose values must not be shown: all, none, or those with
                these names. Their values are requested when lines are shown.
            queue_key: The job's capacity queue, as in `CapacityTrigger`: its end frees capacity for another job.
            refused_since: When AWS first had no capacity for the task's job, in seconds since the epoch; for the event.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.job_name = job_name
        self.connection = AwsConnection(**(connection or {}))
        self.poll_interval = poll_interval
        self.deadline = Deadline(*deadline) if deadline else None
        self.max_transient_seconds = max_transient_seconds
        self.logs = logs
        self.since = since
        self.hosts = hosts
        self.stop_on_kill = stop_on_kill
        self.end_task = end_task
        self.mask_env = mask_env
        self.queue_key = queue_key
        self.refused_since = refused_since

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "job_name": self.job_name,
            "connection": self.connection.serialize(),
            "poll_interval": self.poll_interval,
            "deadline": self.deadline and list(self.deadline),
            "max_transient_seconds": self.max_transient_seconds,
            "logs": self.logs,
            "since": self.since,
            "hosts": self.hosts,
            "stop_on_kill": self.stop_on_kill,
            "end_task": self.end_task,
            "mask_env": self.mask_env,
            "queue_key": self.queue_key,
            "refused_since": self.refused_since,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield the one event."""
        self.log.info("Waiting for processing job %s", self.job_name)
        try:
            event = await self._event()
        except asyncio.CancelledError:
            if not AIRFLOW_CALLS_ON_KILL:
                await self._stop_unless_waited_for()
            raise
        yield event

    async def on_kill(self) -> None:
        """Stop the job if no task waits for it any more; called by Airflow 3.3 and newer.

        They call it not only when a user marks or clears the task, but also in a triggerer that was frozen for a while
        and whose triggers were taken over by another one.
        """
        await self._stop_unless_waited_for()

    async def _stop_unless_waited_for(self) -> None:
        if self.stop_on_kill:
            await stop_unless_waited_for(self.job_name, self.connection, DeferredTask.of(self))

    async def _event(self) -> TriggerEvent:
        began = time.monotonic()
        async with shared_watcher(self.connection) as shared:
            live_log = self._live_log(shared)
            capacity_queue = shared.capacity_queue(self.queue_key)
            if self.since is not None and time.time() - self.since < _JUST_MADE:
                capacity_queue.made()
            try:
                end = await shared.jobs.end_of(self._watch())
                capacity_queue.room(self.job_name)
                if end.outcome is JobOutcome.ENDED and self.end_task:
                    success = await success_event(
                        shared, self.job_name, live_log, DeferredTask.of(self), JobSecrets(mask=self.mask_env)
                    )
                    if success is not None:
                        return success
                await settled(began)
                return await self._job_event(end, live_log)
            finally:
                await live_log.close()

    def _watch(self) -> Watch:
        return Watch(
            job_name=self.job_name,
            since=self.since,
            poll_interval=self.poll_interval,
            deadline=self.deadline and self.deadline.at,
            stop_at_deadline=self.stop_on_kill,
            max_transient_seconds=self.max_transient_seconds,
        )

    def _live_log(self, shared: TriggerWatcher) -> LiveLog | NoLog:
        if not self.logs:
            return NoLog()
        return LiveLog(
            shared,
            DeferredTask.of(self),
            job_name=self.job_name,
            since=self.since,
            hosts=self.hosts,
            mask=self.mask_env,
            logger=self.log,
        )

    async def _job_event(self, end: JobEnd, live_log: LiveLog | NoLog) -> TriggerEvent:
        event = JobEvent(
            job_name=self.job_name,
            outcome=end.outcome,
            deadline=self.deadline,
            message=end.message,
            log_position=await live_log.position(),
            position_kept=live_log.position_kept,
            refused_since=self.refused_since,
        )
        return TriggerEvent(event.to_payload())  # type: ignore[no-untyped-call]  # Airflow's is untyped


class JobSensorTrigger(BaseTrigger):
    """Fires once, when the job exists and has ended, or when its deadline has passed; it never stops a job.

    If the job's name is known, the connection's shared watcher watches for it, even before the job is created.
    """

    def __init__(
        self,
        lookup: dict[str, Any],
        connection: dict[str, Any] | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        deadline: float | None = None,
    ) -> None:
        """Set plain values only, since they are stored in Airflow's database.

        Args:
            lookup: The fields of a `JobLookup`.
            connection: The fields of an `AwsConnection`.
            poll_interval: How often the job is polled, in seconds.
            deadline: When to fire at the latest, in seconds since the epoch.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.lookup = JobLookup(**lookup)
        self.connection = AwsConnection(**(connection or {}))
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "lookup": asdict(self.lookup),
            "connection": self.connection.serialize(),
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield the one event: `outcome`, a `JobOutcome`, with its `message`, and the `deadline`."""
        began = time.monotonic()
        self.log.info("Waiting for %s", self.lookup)
        async with shared_watcher(self.connection) as shared:
            try:
                end = await asyncio.wait_for(self._end(shared), self._seconds_left())
            except asyncio.TimeoutError:
                end = JobEnd(JobOutcome.DEADLINE)
            except ProcessingError as error:  # for example, listing jobs is denied
                end = JobEnd(JobOutcome.TROUBLE, str(error))
            await settled(began)
        payload = {"outcome": end.outcome.value, "message": end.message, "deadline": self.deadline}
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's is untyped

    def _seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    async def _end(self, shared: TriggerWatcher) -> JobEnd:
        name = self.lookup.job_name if self.lookup.name_is_exact else None
        return await shared.jobs.end_of(
            Watch(
                job_name=name or await self._appeared(shared),
                poll_interval=self.poll_interval,
                stop_at_deadline=False,
                max_transient_seconds=math.inf,
                may_be_missing=True,
            )
        )

    async def _appeared(self, shared: TriggerWatcher) -> str:
        """Look for the job until it exists, and return its name."""
        while True:
            try:
                name = await self._found(shared)
            except TransientError as error:
                self.log.warning("%s Searching again.", error)
                name = None
            if name is not None:
                self.log.info("Waiting for processing job %s", name)
                return name
            await asyncio.sleep(jittered(self.poll_interval))

    async def _found(self, shared: TriggerWatcher) -> str | None:
        name = self.lookup.job_name
        if name is not None:
            request = {"ProcessingJobName": name}
            try:
                answer = await shared.calls.sagemaker("describe_processing_job", name, request)
            except JobNotFoundError:
                return None
            with answer_read("DescribeProcessingJob", name):
                status_of(name, answer)
                return str(answer["ProcessingJobName"])
        search = NewestJob(self.lookup)
        while search.request is not None:
            answer = await shared.calls.sagemaker("list_processing_jobs", str(self.lookup), search.request)
            with answer_read("ListProcessingJobs", str(self.lookup)):
                search.take(checked_page(answer))
        return search.found


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """The times so far that AWS had no capacity for a task's job."""

    since: float
    """The time of the first refusal, in seconds since the epoch."""
    count: int = 1

    def to_payload(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)


class CapacityTrigger(BaseTrigger):
    """Fires when it is the task's turn to try again, or when its time to wait is over.

    Tasks that wait on a connection for the same instance type form one queue.
    """

    def __init__(
        self,
        connection: dict[str, Any] | None = None,
        queue_key: str = "",
        since: float = 0.0,
        count: int = 1,
        until: float | None = None,
        refused_at: float | None = None,
    ) -> None:
        """Set plain values only, since they are stored in Airflow's database.

        Args:
            connection: The fields of an `AwsConnection`.
            queue_key: The key of the capacity queue, such as an instance type.
            since: The field of `Refusals`.
            count: The field of `Refusals`.
            until: When to fire at the latest, in seconds since the epoch.
            refused_at: The time of the last refusal, in seconds since the epoch, if its reason was a quota: there is no
                capacity then until another job has ended.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.connection = AwsConnection(**(connection or {}))
        self.queue_key = queue_key
        self.since = since
        self.count = count
        self.until = until
        self.refused_at = refused_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "connection": self.connection.serialize(),
            "queue_key": self.queue_key,
            "since": self.since,
            "count": self.count,
            "until": self.until,
            "refused_at": self.refused_at,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the turn, then yield the one event: the fields of `Refusals`."""
        began = time.monotonic()
        async with shared_watcher(self.connection) as shared:
            capacity_queue = shared.capacity_queue(self.queue_key)
            if self.count > 1:
                capacity_queue.refused()
            await settled(began)
            self.log.info("Waiting for capacity, one of %d jobs in the queue.", len(capacity_queue) + 1)
            try:
                await asyncio.wait_for(capacity_queue.wait(self.since, self.refused_at), self._seconds_left())
            except asyncio.TimeoutError:
                self.log.info("The time to wait for capacity is over.")
        refusals = Refusals(since=self.since, count=self.count)
        yield TriggerEvent(refusals.to_payload())  # type: ignore[no-untyped-call]  # Airflow's is untyped

    def _seconds_left(self) -> float | None:
        return None if self.until is None else max(0.0, self.until - time.time())
