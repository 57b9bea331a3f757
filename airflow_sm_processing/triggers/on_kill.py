"""Stop the job of a deferred task that a user, or Airflow, has ended."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.waiter import RetryBudget
from airflow_sm_processing.triggers.shared_watcher import shared_watcher
from airflow_sm_processing.watcher.watcher import stop_job
from airflow_sm_processing.xcoms import JOB_NAME_KEY, RECORD_KEY

if TYPE_CHECKING:
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.triggers.task_instance import DeferredTask


__all__ = ["AIRFLOW_CALLS_ON_KILL", "stop_unless_waited_for"]


log = logging.getLogger(__name__)

AIRFLOW_CALLS_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Whether Airflow tells triggers that a user ended their task: 3.3 and newer do."""

_STOP_SECONDS = 600.0
_DEFERRED = "deferred"
_WAITING_STATES = frozenset({_DEFERRED, "running"})
_ENDED_STATES = frozenset({"failed", "success", "skipped"})
_PAUSES = (
    1,
    5,
    15,
    60,
)  # seconds between questions that Airflow doesn't answer; then its word that the task ended counts
_AT_ONCE = 5
_questions: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_QUESTIONS = 60  # one a second: a task's process takes seconds to load its DAG file
_under_way: set[asyncio.Task[None]] = set()


async def stop_unless_waited_for(job_name: str, connection: AwsConnection, task: DeferredTask | None) -> None:
    """Stop the job, unless its task waits for it in another triggerer or in a worker.

    The work is a task of its own, which goes on when the caller is cancelled: Airflow repeats its cancellation each
    second, and gives a trigger 30 s at most; a thousand jobs take longer than that to stop.
    """
    work = asyncio.ensure_future(_stop(job_name, connection, task))
    _under_way.add(work)  # the loop itself keeps none
    work.add_done_callback(_under_way.discard)
    await asyncio.shield(work)


async def _stop(job_name: str, connection: AwsConnection, task: DeferredTask | None) -> None:
    try:
        if await _is_waited_for(job_name, task):
            log.info("Processing job %s goes on: its task is waited for elsewhere.", job_name)
            return
        log.info("Nothing waits for processing job %s any more: stopping it.", job_name)
        async with shared_watcher(connection) as shared:
            await stop_job(shared.calls, job_name, RetryBudget(_STOP_SECONDS))
        if task is not None:
            await _record_stop(job_name, task)
    except ProcessingError as error:
        log.error("Processing job %s may go on, for it could not be stopped: %s", job_name, error)  # noqa: TRY400  # the message has it all


async def _record_stop(job_name: str, task: DeferredTask) -> None:
    """Update the job's record for the UI, since nothing else will see its end; a task that goes on records its next."""
    try:
        async with _few_at_a_time():
            record = await task.xcom(RECORD_KEY)
            if record is None or record["job_name"] != job_name or await task.state() not in _ENDED_STATES:
                return
            await task.set_xcom(RECORD_KEY, {**record, "status": JobStatus.STOPPING.value})
    except Exception as error:  # noqa: BLE001  # of Airflow's many kinds; the job is stopped, which is what counts
        log.warning("Airflow's pages don't show that job %s was stopped: %r", job_name, error)


async def _is_waited_for(job_name: str, task: DeferredTask | None) -> bool:
    """Ask Airflow, where it can be asked; elsewhere the cancellation alone says that nobody waits."""
    if task is None:
        return not AIRFLOW_CALLS_ON_KILL
    for pause in _PAUSES:
        try:
            return await _has_a_waiter(job_name, task)
        except Exception as error:  # noqa: BLE001  # of Airflow's many kinds, none tells that the task is waited for
            log.warning("Airflow doesn't say whether the task of job %s still waits: %r", job_name, error)
            if not AIRFLOW_CALLS_ON_KILL:  # a stopped triggerer can't ask any more, and its task goes on
                return True
        await asyncio.sleep(pause)
    return False


def _few_at_a_time() -> asyncio.Semaphore:
    """Spare the supervisor, which answers some fifty questions a second: thousands of tasks may be marked at once."""
    loop = asyncio.get_running_loop()
    if loop not in _questions:
        _questions[loop] = asyncio.Semaphore(_AT_ONCE)
    return _questions[loop]


async def _has_a_waiter(job_name: str, task: DeferredTask) -> bool:
    """Ask again while a worker runs the task: a cleared task's next try has the last one's XComs until it begins."""
    for _ in range(_QUESTIONS):
        async with _few_at_a_time():
            state = await task.state()
            if state not in _WAITING_STATES or await task.xcom(JOB_NAME_KEY) != job_name:
                return False
        if state == _DEFERRED:
            return True
        await asyncio.sleep(1)
    return True
