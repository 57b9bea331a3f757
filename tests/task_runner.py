"""Airflow's own task runner, with a supervisor that keeps XComs in memory instead of asking an API server."""

from __future__ import annotations

import gc
import signal
import traceback
import uuid
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DeferTask,
    ErrorResponse,
    GetTaskStates,
    GetTaskStateStore,
    GetXCom,
    GetXComCount,
    GetXComSequenceItem,
    GetXComSequenceSlice,
    InactiveAssetsResult,
    SetTaskStateStore,
    SetXCom,
    TaskStatesResult,
    TaskStateStoreResult,
    ValidateInletsAndOutlets,
    XComCountResponse,
    XComResult,
    XComSequenceIndexResult,
    XComSequenceSliceResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import BaseOperator

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@dataclass
class Supervisor:
    """Answers a task's requests while it runs, and records what it reports."""

    xcoms: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """XComs by task and map index, then by key."""
    said: list[Any] = field(default_factory=list)
    notes: dict[tuple[Any, str], Any] = field(default_factory=dict)
    """What tasks keep in `task_state_store`, by task instance and key."""
    places: dict[Any, tuple[str, int]] = field(default_factory=dict)
    """The task and map index that each stay's id stands for."""
    state: str | None = None
    """The tasks' state in Airflow's database, if asked for; None means that the tasks no longer exist."""
    states: dict[tuple[str, int], str | None] = field(default_factory=dict)
    """The states of other tasks, by task and map index."""
    on_xcom: Callable[[str], None] | None = None
    """Called with the key of each XCom that the task pushes, while it runs."""

    def send(self, msg: Any) -> Any:
        self.said.append(msg)
        if isinstance(msg, SetXCom):
            self.xcoms.setdefault((msg.task_id, msg.map_index), {})[msg.key] = msg.value
            if self.on_xcom is not None:
                self.on_xcom(msg.key)
        if isinstance(msg, (GetXCom, GetXComSequenceSlice, GetXComSequenceItem, GetXComCount)):
            return self._pulled(msg)
        if isinstance(msg, ValidateInletsAndOutlets):
            return InactiveAssetsResult(inactive_assets=[])
        return self._told_of_task(msg)

    def _told_of_task(self, msg: Any) -> Any:
        """Answer a request about the task instance itself; return None for other requests."""
        if isinstance(msg, GetTaskStates):
            return TaskStatesResult(task_states=dict.fromkeys(msg.run_ids or [], self._states_of(msg.task_ids or [])))
        if isinstance(msg, SetTaskStateStore):
            self.notes[self.places[msg.ti_id], msg.key] = msg.value
        if isinstance(msg, GetTaskStateStore):
            place = self.places[msg.ti_id], msg.key
            return TaskStateStoreResult(value=self.notes[place]) if place in self.notes else None
        return None

    def _states_of(self, task_ids: list[str]) -> dict[str, str | None]:
        if not self.states:
            return {} if self.state is None else dict.fromkeys(task_ids, self.state)
        return {
            task_id if index < 0 else f"{task_id}_{index}": state
            for (task_id, index), state in self.states.items()
            if task_id in task_ids
        }

    def _pulled(self, msg: Any) -> Any:
        if isinstance(msg, GetXCom):
            index = -1 if msg.map_index is None else msg.map_index
            return XComResult(key=msg.key, value=self.xcoms.get((msg.task_id, index), {}).get(msg.key))
        found = self._mapped(msg.task_id, msg.key)
        if isinstance(msg, GetXComSequenceSlice):  # without an index: those of all, which is one if it isn't mapped
            return XComSequenceSliceResult(root=found)
        if isinstance(msg, GetXComCount):
            return XComCountResponse(len=len(found))
        is_there = msg.offset < len(found)
        return XComSequenceIndexResult(root=found[msg.offset]) if is_there else ErrorResponse()

    def _mapped(self, task_id: str, key: str) -> list[Any]:
        """Return what the instances of a mapped task pushed under a key."""
        found = [pushed for (pushed_by, _), pushed in self.xcoms.items() if pushed_by == task_id]
        return [pushed[key] for pushed in found if key in pushed]


@dataclass(frozen=True)
class Ended:
    """One stay of a task in a worker: its state afterwards, what it told the supervisor, and its error."""

    state: str
    message: Any
    error: BaseException | None
    task: BaseOperator
    """The task as it was run: rendered, and unmapped if it was mapped."""

    @property
    def deferred(self) -> DeferTask:
        assert isinstance(self.message, DeferTask), self
        return self.message


@dataclass
class Runner:
    """Runs tasks in this process as a worker does, one stay at a time."""

    supervisor: Supervisor
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    """When the tasks' first stay began; Airflow keeps it when a task resumes."""

    def run(
        self,
        task: Any,
        *,
        map_index: int = -1,
        resume: tuple[str, dict[str, Any]] | None = None,
        retries_left: bool = True,
    ) -> Ended:
        """Run a task's `execute`, or what a trigger's end resumes it with: the method and its arguments."""
        instance = self.instance(task, map_index=map_index, resume=resume, retries_left=retries_left)
        with _own_sigterm():
            state, message, error = task_runner.run(instance, instance.get_template_context(), structlog.get_logger())
        if error is not None and not isinstance(error, Exception):
            _free_interrupted(error)
        return Ended(str(state.value), message, error, instance.task)

    def rendered(self, task: Any, *, map_index: int = -1) -> Any:
        """Return the task with its templates and references resolved, as `execute` would find it."""
        instance = self.instance(task, map_index=map_index)
        instance.task = instance.task.prepare_for_execution()
        context = instance.get_template_context()
        context["task"] = instance.task
        instance.render_templates(context, instance.task.dag.get_template_env())
        return instance.task

    def instance(
        self,
        task: Any,
        *,
        map_index: int = -1,
        resume: tuple[str, dict[str, Any]] | None = None,
        retries_left: bool = True,
    ) -> task_runner.RuntimeTaskInstance:
        dag_run = DagRun(
            dag_id=task.dag_id, run_id="a_run", logical_date=_NOW, data_interval_start=_NOW, data_interval_end=_NOW,
            run_after=_NOW, start_date=_NOW, end_date=None, run_type=DagRunType.MANUAL, state=DagRunState.RUNNING,
            consumed_asset_events=[], partition_key=None,
        )  # fmt: skip
        method, arguments = resume or (None, None)
        stay = uuid.uuid4()
        self.supervisor.places[stay] = task.task_id, map_index
        return task_runner.RuntimeTaskInstance.model_construct(
            id=stay, task_id=task.task_id, dag_id=task.dag_id, run_id="a_run", try_number=1,
            dag_version_id=uuid.uuid4(), map_index=map_index, task=task, max_tries=int(retries_left),
            start_date=self.started,
            _ti_context_from_server=TIRunContext(
                dag_run=dag_run, max_tries=1, should_retry=retries_left, next_method=method, next_kwargs=arguments
            ),
        )  # fmt: skip


@contextmanager
def installed(supervisor: Supervisor) -> Iterator[Runner]:
    """Install the supervisor where Airflow's task runner looks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        yield Runner(supervisor)


def _free_interrupted(error: BaseException) -> None:
    """Free what a signal's exception interrupted, as the end of a worker's process does.

    It may be raised between any two instructions: nobody closes a socket that was just being connected, and whichever
    later test happens to collect it would fail with a ResourceWarning.
    """
    reason: BaseException | None = error
    while reason is not None:
        traceback.clear_frames(reason.__traceback__)
        reason = reason.__cause__ or reason.__context__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Take back the handler that the task runner installs for the rest of its process's life."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
