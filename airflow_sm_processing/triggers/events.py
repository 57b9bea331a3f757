"""What a deferred task is resumed with, when, and what Airflow says of its task instance.

Airflow's scheduler fails a resumed task, whatever became of its job, if it learns only then that the process which
deferred it has ended: it takes that end for the resumed one's (https://github.com/apache/airflow/issues/72716). The
news is late by up to `[workers] min_heartbeat_interval`: so long may a supervisor wait after its process's last word.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.configuration import conf

from airflow_sm_processing.watcher.watches import JobOutcome

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

__all__ = ["Deadline", "DeferredTask", "JobEvent", "earliest_deadline", "settled"]


_SCHEDULER_SECONDS = 5.0
"""For the scheduler to come round, on a busy machine too."""


async def settled(deferred: float) -> None:
    """Return when a task may resume whose trigger started at `deferred`, by `time.monotonic()`.

    `[sm_processing] shortest_deferral` says after how many seconds.
    """
    await asyncio.sleep(deferred + _shortest_deferral() - time.monotonic())


def _shortest_deferral() -> float:
    own: str = conf.get("sm_processing", "shortest_deferral", fallback="")
    if own:
        return float(own)
    lag: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return lag + _SCHEDULER_SECONDS


class Deadline(NamedTuple):
    """A moment that stays the same wherever and whenever the wait goes on."""

    at: float
    """Seconds since the epoch."""
    bound: str
    """The task's parameter that sets it."""

    @property
    def seconds_left(self) -> float:
        """Seconds until then, negative afterwards."""
        return self.at - time.time()


def earliest_deadline(
    *, max_wait: float | None, execution_timeout: timedelta | None, task_started: datetime | None
) -> Deadline | None:
    """Return the deadline of a wait that begins now, None if nothing bounds it.

    Airflow itself bounds only what runs in a worker by `execution_timeout`, and counts anew after a deferral.
    """
    deadlines = []
    if max_wait is not None:
        deadlines.append(Deadline(time.time() + max_wait, "max_wait"))
    if execution_timeout is not None:
        started = task_started or datetime.now(timezone.utc)
        deadlines.append(Deadline((started + execution_timeout).timestamp(), "execution_timeout"))
    return min(deadlines, default=None)


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A trigger's event, plain enough for Airflow's database."""

    job_name: str
    outcome: JobOutcome
    deadline: Deadline | None = None
    """The wait's deadline, whether or not it has passed: whoever goes on waiting keeps to it."""
    message: str | None = None
    log_position: dict[str, Any] | None = None
    """The fields of a `LogPosition`: what of the job's log was shown already."""
    position_kept: bool = False
    """Whether the task has an XCom with a position, which it needs no longer."""
    refused_since: float | None = None
    """When AWS first had no room for the task's job, in seconds since the epoch; None if it always had."""

    def to_payload(self) -> dict[str, Any]:
        """Return the event as JSON."""
        return {
            "job_name": self.job_name,
            "outcome": self.outcome.value,
            "deadline": self.deadline and list(self.deadline),
            "message": self.message,
            "log_position": self.log_position,
            "position_kept": self.position_kept,
            "refused_since": self.refused_since,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> JobEvent:
        """Read what `to_payload` gave."""
        deadline = payload.get("deadline")
        return cls(
            job_name=payload["job_name"],
            outcome=JobOutcome(payload["outcome"]),
            deadline=Deadline(*deadline) if deadline else None,
            message=payload.get("message"),
            log_position=payload.get("log_position"),
            position_kept=payload.get("position_kept", False),
            refused_since=payload.get("refused_since"),
        )


class DeferredTask:
    """A trigger's task instance, as the triggerer's supervisor knows it.

    Each question is a task of its own that no cancellation reaches: Airflow 3.1 leaves an answer that nobody read to
    the next question.
    """

    def __init__(
        self, *, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int | None = None
    ) -> None:
        self.dag_id = dag_id
        self.identity = (dag_id, run_id, task_id, map_index, try_number)
        """What tells one try of a task instance from all others."""
        self.task_id = task_id
        self._place: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}

    @classmethod
    def of(cls, trigger: BaseTrigger) -> DeferredTask | None:
        """Return a trigger's task; None where there is none to ask, as in `airflow dags test` or for an asset."""
        from airflow.sdk.execution_time import task_runner

        ti: Any = trigger.task_instance
        if ti is None or not hasattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "asend"):
            return None
        number = getattr(ti, "try_number", None)
        return cls(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index, try_number=number)

    async def state(self) -> str | None:
        """Return the task's state; None if it has none."""
        from airflow.sdk.execution_time.comms import GetTaskStates

        task_id, map_index, run_id = (self._place[name] for name in ("task_id", "map_index", "run_id"))
        question = GetTaskStates(
            dag_id=self._place["dag_id"], task_ids=[task_id], run_ids=[run_id], map_index=map_index
        )
        states = (await _ask(question)).task_states.get(run_id, {})
        state = states.get(task_id if map_index < 0 else f"{task_id}_{map_index}")
        return None if state is None else str(getattr(state, "value", state))

    async def xcom(self, key: str) -> Any:
        """Return an XCom of the task; None if it has none of that key."""
        from airflow.sdk.execution_time.comms import GetXCom

        return (await _ask(GetXCom(key=key, **self._place))).value

    async def set_xcom(self, key: str, value: Any) -> None:
        """Set an XCom of the task."""
        from airflow.sdk.execution_time.comms import SetXCom

        await _ask(SetXCom(key=key, value=value, **self._place))

    async def delete_xcom(self, key: str) -> None:
        """Delete an XCom of the task."""
        from airflow.sdk.execution_time.comms import DeleteXCom

        await _ask(DeleteXCom(key=key, **self._place))


async def _ask(question: Any) -> Any:
    from airflow.sdk.execution_time import task_runner

    comms: Any = task_runner.SUPERVISOR_COMMS
    reader = getattr(comms, "_reader_task", None)  # since Airflow 3.2
    if reader is not None and reader.done():
        raise RuntimeError("The triggerer is stopping: its supervisor no longer answers.")  # or one would wait for ever
    asking = asyncio.ensure_future(comms.asend(question))
    return await asyncio.shield(asking)
