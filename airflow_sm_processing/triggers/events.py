"""The event that resumes a deferred task, when to send it, and requests to Airflow about the task instance.

Airflow's scheduler fails a resumed task, whatever its job's status is, if it learns too late that the process which
deferred the task has ended, because it takes that for the end of the resumed process
(https://github.com/apache/airflow/issues/72716). It may learn it up to `[workers] min_heartbeat_interval` late, since a
supervisor may wait for so long after its process has ended.
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
"""How long the scheduler may take for a loop, on a busy machine too, in seconds."""


async def settled(deferred: float) -> None:
    """Wait until a task may resume, whose trigger started at `deferred`, by `time.monotonic()`.

    The number of seconds is `[sm_processing] shortest_deferral`.
    """
    await asyncio.sleep(deferred + _shortest_deferral() - time.monotonic())


def _shortest_deferral() -> float:
    own: str = conf.get("sm_processing", "shortest_deferral", fallback="")
    if own:
        return float(own)
    lag: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return lag + _SCHEDULER_SECONDS


class Deadline(NamedTuple):
    """The moment when a wait ends, which doesn't change when the wait continues elsewhere."""

    at: float
    """Seconds since the epoch."""
    bound: str
    """The task's parameter that sets it."""

    @property
    def seconds_left(self) -> float:
        """The number of seconds until then, negative afterwards."""
        return self.at - time.time()


def earliest_deadline(
    *, max_wait: float | None, execution_timeout: timedelta | None, task_started: datetime | None
) -> Deadline | None:
    """Return the deadline of a wait that begins now; None if there is none.

    It includes `execution_timeout`, since Airflow applies that only in a worker, and starts over after a deferral.
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
    """The wait's deadline, passed or not, which still applies if a worker continues the wait."""
    message: str | None = None
    log_position: dict[str, Any] | None = None
    """The fields of a `LogPosition`: where a worker continues to show the job's log; None is its start."""
    position_kept: bool = False
    """Whether the task has an XCom with a position, which is no longer needed."""
    refused_since: float | None = None
    """When AWS first had no capacity for the task's job, in seconds since the epoch; None if it always had."""

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
        """Read the result of `to_payload`."""
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
    """A trigger's task instance; requests about it go to the triggerer's supervisor.

    Each request is a separate asyncio task that isn't cancelled with its caller: in Airflow 3.1, a response that nobody
    reads would go to the next request.
    """

    def __init__(
        self, *, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int | None = None
    ) -> None:
        self.dag_id = dag_id
        self.identity = (dag_id, run_id, task_id, map_index, try_number)
        """Identifies one try of a task instance."""
        self.task_id = task_id
        self._place: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}

    @classmethod
    def of(cls, trigger: BaseTrigger) -> DeferredTask | None:
        """Return a trigger's task; None if there is none, as in `airflow dags test` or for an asset."""
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
        """Return an XCom of the task; None if it has none with that key."""
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
        raise RuntimeError("The triggerer is stopping: its supervisor no longer answers.")  # or wait forever
    asking = asyncio.ensure_future(comms.asend(question))
    return await asyncio.shield(asking)
