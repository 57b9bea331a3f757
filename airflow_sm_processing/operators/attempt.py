"""What Airflow says of this try of a task, and the errors with which a try ends in a way of Airflow's own."""

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
    """A `DefinitionError` that fails the task without a retry, which couldn't help."""

    @classmethod
    def of(cls, error: DefinitionError, *, task_id: str) -> TaskDefinitionError:
        """Return the same problems as a task's error."""
        return cls(error.problems, subject=f"task {task_id}")


class UnwantedJobError(JobExistsError, AirflowFailException):
    """A `JobExistsError` that fails the task without a retry: the job will be there then, too."""


class UnusableResultError(ResultFileError, AirflowFailException):
    """A `ResultFileError` that fails the task without a retry, which would find the same job's files."""


class WorkerShutdownError(ProcessingError):
    """A try that ends because its worker does: its job goes on, and the next try waits for it."""


_INTENT_KEY = "processing_job"
_LONGEST_ID = 250  # of Airflow's own ids
_PAUSE_SECONDS = 1.0  # between questions to an Airflow that gives none but errors
_BETWEEN_TRIES = frozenset({"up_for_retry", "scheduled", "queued", "deferred"})


class Termination(Enum):
    """Why a task's process is told to end, as far as Airflow's state of the task says."""

    SHUTDOWN = "shutdown"
    """The task still runs: not it, but the worker, its pod or its machine is to end."""
    ENDED = "ended"
    """Somebody ended the task: a user who marked or cleared it, or the end of its DAG run."""
    SUPERSEDED = "superseded"
    """A later try has the task already, and its job with it."""
    UNKNOWN = "unknown"
    """Airflow can't be asked: its API server is away, or this host is cut off."""


class Attempt:
    """Who asks for a job, what the task instance remembers, and whether this process still speaks for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ti: Any = context["ti"]
        self._run: Any = context["dag_run"]
        store = context.get("task_state_store")  # since Airflow 3.3
        self.intents: Intents = NoIntents() if store is None else TaskIntents(store)
        self._supervisor_pid = os.getppid() if _has_supervisor() else None

    def asking(self) -> Try:
        """Return the task instance's identity, generation and try."""
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
        """Whether the supervisor of this process has died: Airflow will take the try for dead too."""
        return self._supervisor_pid is not None and os.getppid() != self._supervisor_pid

    @property
    def is_followed(self) -> bool:
        """Whether Airflow will start another try if this one dies."""
        return bool(self._ti.try_number <= self._ti.max_tries)

    def check_supervisor(self) -> None:
        """Raise if this process doesn't speak for its task instance any more."""
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
        except Exception as trouble:  # noqa: BLE001  # the DAG author's own; Airflow retries then, too
            log.warning("The task's retry policy failed: %r", trouble)
            return True
        return bool(decision.action.value != "fail")

    def termination(self, *, within: float) -> Termination:
        """Ask Airflow why this process is told to end; `UNKNOWN` if there is no answer in that many seconds."""
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
            retry=retry_if_exception_type(Exception),  # of Airflow's many kinds: none says that the task was ended
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
        # It is this try, or the next one, to which Airflow has given the task's notes.
        note = self.intents.read()
        is_next = self.intents.available and note is None  # asked afterwards: it may have failed
        return Termination.SUPERSEDED if is_next else Termination.SHUTDOWN

    def _state(self) -> str | None:
        ti = self._ti
        place = {"dag_id": ti.dag_id, "task_ids": [ti.task_id], "run_ids": [ti.run_id], "map_index": ti.map_index}
        try:
            states = ti.get_task_states(**place).get(ti.run_id, {})
        except AttributeError:  # of an answer that has no states: there is no such task instance any more
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
        """Return the last intent; None also if Airflow can't say."""
        try:
            fields = self._store.get(_INTENT_KEY)
            return None if fields is None else Intent.from_plain(fields)
        except Exception as error:  # noqa: BLE001  # of Airflow's many kinds: without it the jobs' names and tags tell
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
    """Return whether a process of its own supervises this one; `airflow dags test` has none."""
    from airflow.sdk.execution_time.comms import CommsDecoder

    return isinstance(supervisor_comms(), CommsDecoder)


def deployment() -> str:
    """Return the name that distinguishes this Airflow from others in the same AWS account."""
    from airflow_sm_processing.airflow_compat import conf

    name = conf.get("sm_processing", "deployment", fallback="") or conf.get("api", "base_url", fallback="")
    return str(name or "airflow")[:_LONGEST_ID]


# Questions to the supervisor: each gets its own answer, whatever interrupts the task

_ANSWER_SECONDS = 5.0  # in which a time-out waits for an answer; after that, the question goes on without the task


def make_comms_signal_safe() -> None:
    """From now on, give each question of this process its own answer: the package's, Airflow's own, and any code's.

    Airflow matches an answer to a question by their order alone. Its `execution_timeout` is an exception that a signal
    raises anywhere, so also between the two: then each later question gets the answer to the one before.
    """
    from airflow.sdk.execution_time import task_runner

    runner: Any = task_runner
    comms = getattr(runner, "SUPERVISOR_COMMS", None)
    if comms is not None and not isinstance(comms, SignalSafeComms):
        runner.SUPERVISOR_COMMS = SignalSafeComms(comms)


def supervisor_comms() -> Any:
    """Return what Airflow itself asks this process's supervisor by; None where there is none."""
    from airflow.sdk.execution_time import task_runner

    comms: Any = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return comms.comms if isinstance(comms, SignalSafeComms) else comms


class SignalSafeComms:
    """Replaces Airflow's `SUPERVISOR_COMMS`, and asks in threads, which no signal's handler interrupts."""

    def __init__(self, comms: Any) -> None:
        self.comms = comms
        self._turn = threading.RLock()  # Airflow 3.1 has none: two threads' answers could be swapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comms, name)

    def send(self, msg: Any) -> Any:
        """Ask, and return the answer. A question that was begun is finished, even if the caller is interrupted."""
        if threading.current_thread() is not threading.main_thread():  # the only one that handles signals
            return self._ask(msg)
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        ask = contextvars.copy_context().run
        asking = threading.Thread(target=lambda: answers.put(ask(self._outcome, msg)), daemon=True, name="question")
        try:
            asking.start()
            answer, error = answers.get()
        except BaseException:
            with suppress(queue.Empty):  # a supervisor that hangs doesn't keep the task
                answers.get(timeout=_ANSWER_SECONDS)
            raise
        if error is not None:
            raise error
        return answer

    def _outcome(self, msg: Any) -> tuple[Any, BaseException | None]:
        try:
            return self._ask(msg), None
        except BaseException as error:  # noqa: BLE001  # raised where it was asked; one of Airflow's is no Exception
            return None, error

    def _ask(self, msg: Any) -> Any:
        with self._turn:
            return self.comms.send(msg)
