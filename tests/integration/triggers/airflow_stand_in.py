"""Airflow's supervisor as a trigger meets it: answers questions about one task instance."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DeleteXCom, GetTaskStates, GetXCom, SetXCom, XComResult

if TYPE_CHECKING:
    import pytest

    from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

PLACE = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "a_task"}


@dataclass
class StandIn:
    """Keeps one task instance's state and XComs."""

    states: list[str | None]
    """What GetTaskStates answers, one after the other; the last for ever."""
    xcoms: dict[str, Any] = field(default_factory=dict)
    map_index: int = -1
    asked: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def asend(self, message: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(message, GetTaskStates):
            self.asked += 1
            self._changed.set()
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            key = "a_task" if self.map_index < 0 else f"a_task_{self.map_index}"
            return SimpleNamespace(task_states={"a_run": {} if state is None else {key: state}})
        assert {name: getattr(message, name) for name in PLACE} == PLACE
        assert message.map_index == self.map_index
        if isinstance(message, SetXCom):
            self.xcoms[message.key] = message.value
            self._changed.set()
        elif isinstance(message, DeleteXCom):
            self.xcoms.pop(message.key, None)
        elif isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.xcoms.get(message.key))
        return None

    async def was_asked(self) -> None:
        """Wait until a trigger has asked for the task's state."""
        while not self.asked:
            self._changed = asyncio.Event()
            await self._changed.wait()

    async def was_changed(self, key: str, *before: Any) -> None:
        """Wait until an XCom is something else than what it was."""
        while self.xcoms.get(key) in before:
            self._changed = asyncio.Event()  # each of a test's loops needs its own
            await self._changed.wait()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answer from now on."""
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", self, raising=False)

    def adopt(self, trigger: ProcessingJobTrigger) -> ProcessingJobTrigger:
        """Make the trigger one of the task instance."""
        trigger._task_instance = SimpleNamespace(**PLACE, map_index=self.map_index)  # type: ignore[assignment]
        return trigger
