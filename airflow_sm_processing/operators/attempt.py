"""A task instance's present try, as its process knows it."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.ownership.claiming import Try
from airflow_sm_processing.ownership.intents import Intent, NoIntents
from airflow_sm_processing.ownership.owner import Life, Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_sm_processing.ownership.intents import Intents

__all__ = ["Attempt"]

log = logging.getLogger(__name__)

_INTENT_KEY = "processing_job"
_LONGEST_ID = 250  # of Airflow's own ids
_ANSWER_SECONDS = 2.0  # Airflow kills a task 5 s after SIGTERM, and the job has to be stopped in that time
_BETWEEN_TRIES = frozenset({"up_for_retry", "scheduled", "queued", "deferred"})


class Attempt:
    """Who asks for a job, what the task instance remembers, and whether this process still speaks for it."""

    def __init__(self, context: Context) -> None:
        self._ti: Any = context["ti"]
        self._run: Any = context["dag_run"]
        store = context.get("task_state_store")  # since Airflow 3.3
        self.intents: Intents = NoIntents() if store is None else TaskIntents(store)
        self._supervisor_pid = os.getppid() if _has_supervisor() else None

    def asking(self) -> Try:
        """Give the task instance's identity, life and try."""
        ti, run = self._ti, self._run
        return Try(
            owner=Owner(
                deployment=_deployment(),
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                task_id=ti.task_id,
                map_index=-1 if ti.map_index is None else ti.map_index,
            ),
            life=Life(
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

    def is_taken_over(self) -> bool:
        """Ask Airflow whether a later try goes on with the job; False if it doesn't say so in two seconds.

        The question is asked in a thread: this may be called by a signal's handler in the middle of another question,
        whose answer the thread would wait for in vain.
        """
        answers: list[bool] = []
        asking = threading.Thread(target=lambda: answers.append(_answered(self._has_successor)), daemon=True)
        asking.start()
        asking.join(_ANSWER_SECONDS)
        return answers == [True]

    def _has_successor(self) -> bool:
        ti = self._ti
        states = ti.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        ).get(ti.run_id, {})
        mapped = ti.map_index is not None and ti.map_index >= 0
        state = states.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id)
        state = getattr(state, "value", state)
        if state == "running":  # this try, or the next one, to which Airflow has given the task's notes
            note = self.intents.read()
            return self.intents.available and note is None  # asked afterwards: it may have failed
        return state in _BETWEEN_TRIES


class TaskIntents:
    """Keeps a task instance's intent in Airflow's `task_state_store`, which survives retries and clears."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.available = True

    def read(self) -> Intent | None:
        """Give the last intent; None also if Airflow can't say."""
        try:
            fields = self._store.get(_INTENT_KEY)
            return None if fields is None else Intent.from_plain(fields)
        except Exception as error:  # noqa: BLE001  # of Airflow's many kinds: without it the jobs' names and tags tell
            self._is_out_of_order("read", error)
            return None

    def write(self, intent: Intent) -> bool:
        """Keep the intent instead of the last one; tell whether that worked."""
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


def _answered(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  # of Airflow's many kinds: the task is ending, and its job is stopped
        log.warning("Airflow doesn't say whether a later try goes on with the job: %r", error)
        return False


def _has_supervisor() -> bool:
    """Tell whether a process of its own supervises this one; `airflow dags test` has none."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    return isinstance(getattr(task_runner, "SUPERVISOR_COMMS", None), CommsDecoder)


def _deployment() -> str:
    from airflow.providers.common.compat.sdk import conf

    name = conf.get("sm_processing", "deployment", fallback="") or conf.get("api", "base_url", fallback="")
    return str(name or "airflow")[:_LONGEST_ID]
