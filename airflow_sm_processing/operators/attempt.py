"""Airflow's information on this try of a task, and the errors that fail a task without a retry."""

from __future__ import annotations

import contextvars
import logging
import os
import queue
import threading
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.airflow_compat import AirflowFailException
from airflow_sm_processing.exceptions import (
    DefinitionError,
    JobExistsError,
    ProcessingError,
    ResultFileError,
)
from airflow_sm_processing.ownership.owner import Generation, Intent, NoIntents, Owner

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_processing.ownership.claim import Try
    from airflow_sm_processing.ownership.owner import Intents

__all__ = [
    "Attempt",
    "SignalSafeComms",
    "TaskDefinitionError",
    "Termination",
    "UnusableResultError",
    "UnwantedJobError",
    "WorkerShutdownError",
    "deployment",
    "make_comms_signal_safe",
    "supervisor_comms",
]


log = logging.getLogger(__name__)

_SILENCE = "Airflow didn't report why this task's process has to end: %r"


class TaskDefinitionError(DefinitionError, AirflowFailException):
    """A `DefinitionError` that fails the task without a retry, since a retry couldn't help."""

    @classmethod
    def of(cls, error: DefinitionError, *, task_id: str) -> TaskDefinitionError:
        """Return an error with the same problems that names the task."""
        return cls(error.problems, subject=f"task {task_id}")


class UnwantedJobError(JobExistsError, AirflowFailException):
    """A `JobExistsError` that fails the task without a retry, since the job would still exist."""


class UnusableResultError(ResultFileError, AirflowFailException):
    """A `ResultFileError` that fails the task without a retry, since a retry would find the same job's files."""


class WorkerShutdownError(ProcessingError):
    """The try ends because its worker does; the job goes on, and the next try waits for it."""


_INTENT_KEY = "processing_job"
_LONGEST_ID = 250  # the limit of Airflow's own ids
_PAUSE_SECONDS = 1.0  # between requests to Airflow while it answers with errors
_BETWEEN_TRIES = frozenset({"up_for_retry", "scheduled", "queued", "deferred"})


class Termination(Enum):
    """Why a task's process is told to end, according to the task's state in Airflow."""

    SHUTDOWN = "shutdown"
    """The task is still running, so it is the worker, its pod or its machine that ends."""
    ENDED = "ended"
    """Somebody ended the task: a user who marked or cleared it, or the end of its DAG run."""
    SUPERSEDED = "superseded"
    """A later try has already taken over the task and its job."""
    UNKNOWN = "unknown"
    """Airflow can't be reached: its API server is down, or this host is disconnected."""


class Attempt:
    """This try of a task instance: its identity, its stored intents, and its state in Airflow."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ti: Any = context["ti"]
        self._run: Any = context["dag_run"]
        store = context.get("task_state_store")  # since Airflow 3.3
        self.intents: Intents = NoIntents() if store is None else TaskIntents(store)
        self._supervisor_pid = os.getppid() if _has_supervisor() else None

    def asking(self) -> Try:
        """Return the task instance's identity, generation and try number."""
        from airflow_sm_processing.ownership.claim import Try

        ti, run = self._ti, self._run
        return Try(
            owner=Owner(
                deployment=deployment(),
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                task_id=ti.task_id,
                map_index=-1 if ti.map_index is None else ti.map_index,
            ),
            generation=Generation(
                max_tries=ti.max_tries,
                clear_number=getattr(run, "clear_number", None),
                trace=(getattr(ti, "context_carrier", None) or {}).get("traceparent", ""),
            ),
            number=ti.try_number,
            run_started=run.start_date and run.start_date.timestamp(),
        )

    @property
    def is_orphaned(self) -> bool:
        """Whether the supervisor of this process has died, so that Airflow will consider the try dead too."""
        return self._supervisor_pid is not None and os.getppid() != self._supervisor_pid

    @property
    def is_followed(self) -> bool:
        """Whether Airflow will start another try if this one dies."""
        return bool(self._ti.try_number <= self._ti.max_tries)

    def check_supervisor(self) -> None:
        """Raise if this process no longer acts for its task instance, because its supervisor has died."""
        if self.is_orphaned:
            raise ProcessingError(
                "No job was created: this process lost its supervisor, so Airflow takes the try for dead, and another "
                "one may be running."
            )

    def is_retried_after(self, error: Exception) -> bool:
        """Return whether Airflow will start another try if this one fails with an error."""
        policy = getattr(getattr(self._ti, "task", None), "retry_policy", None)  # since Airflow 3.3
        if policy is None or not self.is_followed:
            return self.is_followed
        try:
            decision = policy.evaluate(
                exception=error, try_number=self._ti.try_number, max_tries=self._ti.max_tries, context=self._context
            )
        except Exception as trouble:  # noqa: BLE001  # an error of the DAG author's code; Airflow retries then, too
            log.warning("The task's retry policy failed: %r", trouble)
            return True
        return bool(decision.action.value != "fail")

    def termination(self, *, within: float) -> Termination:
        """Ask Airflow why this process is told to end; return `UNKNOWN` without an answer within that many seconds."""
        answers: queue.SimpleQueue[Termination] = queue.SimpleQueue()
        asking = threading.Thread(target=lambda: self._ask_why(answers, within), daemon=True, name="termination")
        asking.start()
        try:
            return answers.get(timeout=within)
        except queue.Empty:
            log.warning("Airflow didn't report why this task's process has to end.")
            return Termination.UNKNOWN

    def _ask_why(self, answers: queue.SimpleQueue[Termination], within: float) -> None:
        from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

        def ask() -> Termination:
            return Termination.SHUTDOWN if self.is_orphaned else self._termination()  # a signal may end both processes

        tries = Retrying(
            retry=retry_if_exception_type(Exception),  # Airflow raises many kinds; none means that the task was ended
            stop=stop_after_delay(within),
            wait=wait_fixed(_PAUSE_SECONDS),
            before_sleep=lambda state: log.warning(_SILENCE, state.outcome and state.outcome.exception()),
        )
        with suppress(RetryError):
            answers.put(tries(ask))

    def _termination(self) -> Termination:
        state = self._state()
        if state in _BETWEEN_TRIES:
            return Termination.SUPERSEDED
        if state != "running":
            return Termination.ENDED
        # Airflow lets only the running try read the task's notes: either this try, or already the next one.
        note = self.intents.read()
        is_next = self.intents.available and note is None  # `available` is checked after the read, which may fail
        return Termination.SUPERSEDED if is_next else Termination.SHUTDOWN

    def _state(self) -> str | None:
        ti = self._ti
        place = {"dag_id": ti.dag_id, "task_ids": [ti.task_id], "run_ids": [ti.run_id], "map_index": ti.map_index}
        try:
            states = ti.get_task_states(**place).get(ti.run_id, {})
        except AttributeError:  # the response has no states: the task instance no longer exists
            return None
        mapped = ti.map_index is not None and ti.map_index >= 0
        state = states.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id)
        return None if state is None else str(getattr(state, "value", state))


class TaskIntents:
    """Keeps a task instance's intent in Airflow's `task_state_store`, which survives retries and clears."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.available = True

    def read(self) -> Intent | None:
        """Return the last intent; None if there is none or Airflow can't be read."""
        try:
            fields = self._store.get(_INTENT_KEY)
            return None if fields is None else Intent.from_plain(fields)
        except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; jobs' names and tags then decide
            self._is_out_of_order("read", error)
            return None

    def write(self, intent: Intent) -> bool:
        """Store the intent in place of the last one; return whether that worked."""
        try:
            self._store.set(_INTENT_KEY, intent.to_plain())
        except Exception as error:  # noqa: BLE001  # as above
            self._is_out_of_order("write", error)
        return self.available

    def _is_out_of_order(self, what: str, error: Exception) -> None:
        self.available = False
        log.warning(
            "Airflow's task_state_store can't be used (%s): %r. The job's name and tags have to do.", what, error
        )


def _has_supervisor() -> bool:
    """Return whether a separate process supervises this one; `airflow dags test` has none."""
    from airflow.sdk.execution_time.comms import CommsDecoder

    return isinstance(supervisor_comms(), CommsDecoder)


def deployment() -> str:
    """Return the name that distinguishes this Airflow from others in the same AWS account."""
    from airflow_sm_processing.airflow_compat import conf

    name = conf.get("sm_processing", "deployment", fallback="") or conf.get("api", "base_url", fallback="")
    return str(name or "airflow")[:_LONGEST_ID]


# Requests to the supervisor: each gets its own response, whatever interrupts the task

_ANSWER_SECONDS = 5.0  # how long an interrupted caller waits for the response, before it goes on without it


def make_comms_signal_safe() -> None:
    """From now on, make sure that each request of this process to its supervisor gets its own response.

    Airflow matches responses to requests only by their order. Its `execution_timeout` is an exception that a signal
    raises anywhere, even between the two: then each later request gets the response to the one before. This applies to
    requests by this package, by Airflow itself and by any other code.
    """
    from airflow.sdk.execution_time import task_runner

    runner: Any = task_runner
    comms = getattr(runner, "SUPERVISOR_COMMS", None)
    if comms is not None and not isinstance(comms, SignalSafeComms):
        runner.SUPERVISOR_COMMS = SignalSafeComms(comms)


def supervisor_comms() -> Any:
    """Return Airflow's own object for requests to this process's supervisor; None without a supervisor."""
    from airflow.sdk.execution_time import task_runner

    comms: Any = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return comms.comms if isinstance(comms, SignalSafeComms) else comms


class SignalSafeComms:
    """Replaces Airflow's `SUPERVISOR_COMMS`, and sends requests in threads, which signal handlers don't interrupt."""

    def __init__(self, comms: Any) -> None:
        self.comms = comms
        self._turn = threading.RLock()  # Airflow 3.1 has no lock: two threads' responses could be swapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comms, name)

    def send(self, msg: Any) -> Any:
        """Send a request, and return the response; a request is completed even if the caller is interrupted."""
        if threading.current_thread() is not threading.main_thread():  # signals interrupt only the main thread
            return self._ask(msg)
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        ask = contextvars.copy_context().run
        asking = threading.Thread(target=lambda: answers.put(ask(self._outcome, msg)), daemon=True, name="question")
        try:
            asking.start()
            answer, error = answers.get()
        except BaseException:
            with suppress(queue.Empty):  # a hanging supervisor must not hold up the task
                answers.get(timeout=_ANSWER_SECONDS)
            raise
        if error is not None:
            raise error
        return answer

    def _outcome(self, msg: Any) -> tuple[Any, BaseException | None]:
        try:
            return self._ask(msg), None
        except BaseException as error:  # noqa: BLE001  # re-raised in the caller; one of Airflow's isn't an Exception
            return None, error

    def _ask(self, msg: Any) -> Any:
        with self._turn:
            return self.comms.send(msg)
