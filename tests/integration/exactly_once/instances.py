"""Task instances as in Airflow's database, which outlive each process that works on one."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import (
    DeferTask,
    DeleteXCom,
    ErrorResponse,
    GetTaskStates,
    GetTaskStateStore,
    GetXCom,
    GetXComSequenceSlice,
    InactiveAssetsResult,
    RetryTask,
    SetTaskStateStore,
    SetXCom,
    SucceedTask,
    TaskState,
    TaskStatesResult,
    TaskStateStoreResult,
    ValidateInletsAndOutlets,
    XComResult,
    XComSequenceSliceResult,
)
from airflow.sdk.serde import deserialize, serialize

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TRIES = 1000


class Stay(NamedTuple):
    """The task instance that a worker's process has to work on."""

    number: int
    id: uuid.UUID
    task_id: str
    run_id: str
    map_index: int
    try_number: int
    started: datetime
    trace: str
    xcom_keys_to_clear: list[str]
    resume: tuple[str, dict[str, Any]] | None


@dataclass
class Instance:
    """One task instance: answers requests of its processes and its trigger, and changes state as they report."""

    number: int
    task_id: str
    run_id: str
    map_index: int = -1
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    try_number: int = 1
    state: str = "scheduled"
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    trace: str = field(default_factory=lambda: f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    xcoms: dict[str, Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    deferral: DeferTask | None = None
    resume: tuple[str, dict[str, Any]] | None = None
    stays: int = 0
    """Processes that have worked on it."""

    def stay(self) -> Stay:
        """Begin a stay in a worker."""
        self.stays += 1
        self.state = "running"
        place = (self.task_id, self.run_id, self.map_index, self.try_number)
        cleared = [] if self.resume else list(self.xcoms)
        return Stay(self.number, self.id, *place, self.started, self.trace, cleared, self.resume)

    def retry(self) -> None:
        """Begin the next try, as Airflow does for a process that died or an error that was raised."""
        self.id = uuid.uuid4()
        self.try_number += 1
        self.state, self.resume, self.deferral = "scheduled", None, None
        self.started = datetime.now(timezone.utc)

    def wake(self, payload: Any) -> None:
        """Take a trigger's event: another stay goes on with it."""
        assert self.deferral is not None
        arguments = deserialize(self.deferral.next_kwargs or {}) | {"event": payload}
        self.resume = (self.deferral.next_method, serialize(arguments))
        self.state, self.deferral = "scheduled", None

    def described(self) -> dict[str, Any]:
        """Return what became of it, as JSON."""
        place = {"task_id": self.task_id, "run_id": self.run_id, "map_index": self.map_index}
        tries = {"tries": self.try_number, "stays": self.stays}
        return {**place, **tries, "number": self.number, "state": self.state, "xcoms": self.xcoms}

    def fail_deferral(self, trace: str) -> None:
        """Take a trigger's error: Airflow lets a worker end the task."""
        details = {"error": TriggerFailureReason.TRIGGER_FAILURE.value, "traceback": [trace]}
        self.resume = (TRIGGER_FAIL_REPR, details)
        self.state, self.deferral = "scheduled", None

    def answer(self, message: Any) -> Any:
        """Do what a process asks; what it reports changes the state."""
        answer = _ANSWERS.get(type(message))
        return None if answer is None else answer(self, message)

    def _reported(self, message: Any) -> None:
        self.state = _STATES.get(type(message)) or str(message.state.value)
        self.deferral = message if isinstance(message, DeferTask) else None

    def _set_xcom(self, message: Any) -> None:
        self.xcoms[message.key] = message.value

    def _delete_xcom(self, message: Any) -> None:
        self.xcoms.pop(message.key, None)

    def _xcom(self, message: Any) -> XComResult:
        return XComResult(key=message.key, value=self.xcoms.get(message.key))

    def _xcoms(self, message: Any) -> XComSequenceSliceResult:
        return XComSequenceSliceResult(root=[self.xcoms[message.key]] if message.key in self.xcoms else [])

    def _note(self, message: Any) -> None:
        self.store[message.key] = message.value

    def _noted(self, message: Any) -> Any:
        if message.key not in self.store:
            return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
        return TaskStateStoreResult(value=self.store[message.key])

    def _states(self, _message: Any) -> TaskStatesResult:
        key = self.task_id if self.map_index < 0 else f"{self.task_id}_{self.map_index}"
        return TaskStatesResult(task_states={self.run_id: {key: self.state}})

    def _inactive_assets(self, _message: Any) -> InactiveAssetsResult:
        return InactiveAssetsResult(inactive_assets=[])


_STATES = {DeferTask: "deferred", SucceedTask: "success", RetryTask: "up_for_retry"}
_ANSWERS: dict[type, Callable[[Instance, Any], Any]] = {
    DeferTask: Instance._reported,
    SucceedTask: Instance._reported,
    RetryTask: Instance._reported,
    TaskState: Instance._reported,
    SetXCom: Instance._set_xcom,
    DeleteXCom: Instance._delete_xcom,
    GetXCom: Instance._xcom,
    GetXComSequenceSlice: Instance._xcoms,
    SetTaskStateStore: Instance._note,
    GetTaskStateStore: Instance._noted,
    GetTaskStates: Instance._states,
    ValidateInletsAndOutlets: Instance._inactive_assets,
}
