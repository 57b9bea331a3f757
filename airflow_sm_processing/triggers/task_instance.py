"""Read from Airflow what a trigger needs to know about its task instance while that is deferred."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger


__all__ = ["DeferredTask"]


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
        raise RuntimeError("The triggerer is stopping: its supervisor answers no more.")  # or one would wait for ever
    asking = asyncio.ensure_future(comms.asend(question))
    return await asyncio.shield(asking)
