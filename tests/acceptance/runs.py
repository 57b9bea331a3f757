"""DAG runs: waiting for something in them, and acting on them."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from demo.airflow_api import RUN_ENDED

from .states import states_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from demo.airflow_api import TaskInstance
    from demo.airflow_services import RunningAirflow

ENDS = frozenset({"success", "failed", "skipped", "upstream_failed"})
"""The states in which a task ends."""
# Airflow's own words at a trigger's start, and the shape in which a job's lines are logged.
_TRIGGER_STARTED = re.compile(r"^trigger \S+ \(ID \d+\) starting$", re.MULTILINE)
_JOB_LINE = re.compile(r"\[(algo-\d+)\] (.*)")

_REPEATS = 3
PATIENCE_SECONDS = 900
"""How long a run may take on a busy machine, in seconds."""


class JobLine(NamedTuple):
    """A line of a job's script."""

    host: str
    time: datetime
    """CloudWatch's."""
    text: str

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> JobLine:
        """Read an event of FilterLogEvents."""
        host = re.match("algo-[0-9]+", event["logStreamName"].rpartition("/")[2])
        assert host is not None
        return cls(host[0], datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc), event["message"])

    @classmethod
    def all_of(cls, events: Iterable[Mapping[str, Any]]) -> list[JobLine]:
        """Read those of a task's log, without the local SageMaker's own."""
        found = [(_JOB_LINE.fullmatch(str(event.get("event", ""))), event) for event in events]
        lines = [
            cls(match[1], datetime.fromisoformat(event["chan"].replace("Z", "+00:00")), match[2])
            for match, event in found
            if match is not None
        ]
        return [line for line in lines if not line.text.startswith("[local]")]


@dataclasses.dataclass(frozen=True)
class Gate:
    """Holds back jobs, which end when it is open."""

    path: Path

    def open(self) -> None:
        """Let the jobs end."""
        self.path.touch()


class Run:
    """A DAG run, whose jobs may wait at a gate."""

    def __init__(
        self, airflow: RunningAirflow, dag_id: str, *, gate: Gate | None = None, conf: Mapping[str, str] | None = None
    ) -> None:
        self._airflow = airflow
        self._gate = gate
        self.dag_id = dag_id
        self.run_id = airflow.api.trigger(dag_id, conf={**({"gate": str(gate.path)} if gate else {}), **(conf or {})})

    @classmethod
    def made(cls, airflow: RunningAirflow, dag_id: str, run_id: str) -> Run:
        """Return a run that Airflow itself has made."""
        run = cls.__new__(cls)
        run._airflow, run._gate, run.dag_id, run.run_id = airflow, None, dag_id, run_id
        return run

    def open_gate(self) -> None:
        """Let the jobs end."""
        assert self._gate is not None
        self._gate.open()

    def ended(self) -> list[TaskInstance]:
        """Return the tasks when the run has ended; why some of them failed shows if the test fails."""
        self._until_ended()
        self._repeat_what_the_scheduler_failed()
        tasks = self.tasks()
        for task in tasks:
            if task.state == "failed":
                print(
                    f"----- log of {self.dag_id}.{task.label}",
                    self.log(task.task_id, map_index=task.map_index),
                    sep="\n",
                )
        return tasks

    def _until_ended(self) -> None:
        self.until(lambda: self.state() in RUN_ENDED, "its end")

    def _repeat_what_the_scheduler_failed(self) -> None:
        """Clear, as an operator does, what Airflow's scheduler itself has failed.

        A scheduler of Airflow 3.3 that learns of a deferral after the trigger has fired fails the task, whatever its
        operator (apache/airflow#72716). Our triggers wait for some seconds before they fire; a very busy scheduler may
        need more.
        """
        known = 0
        for _ in range(_REPEATS):
            mismatches = self._airflow.api.state_mismatches(self.dag_id, self.run_id)
            if len(mismatches) == known:
                return
            print(*(mismatch.reason for mismatch in mismatches[known:]), sep="\n")
            failed = {(mismatch.task_id, mismatch.map_index) for mismatch in mismatches[known:]}
            known = len(mismatches)
            self._airflow.api.clear_failed(self.dag_id, self.run_id, failed)
            self._until_ended()

    def end_of(self, task_id: str) -> str:
        """Return a task's state at its end; what it logged shows if the test fails."""
        self.until_task_is(task_id, *ENDS)
        print(f"----- log of {self.dag_id}.{task_id}", self.log(task_id), sep="\n")
        return str(self.task(task_id).state)

    def until_task_is(self, task_id: str, *states: str) -> None:
        """Wait until a task is in one of the states; an end that isn't among them ends the wait with its log."""

        def has_come() -> bool:
            state = self.task(task_id).state
            assert state not in ENDS - {*states}, f"{task_id} is {state}:\n{self.log(task_id)}"
            return state in states

        self.until(has_come, f"{task_id} to be {' or '.join(states)}")

    def until_task_waits(self, task_id: str, state: str) -> None:
        """Wait until a task waits for its job, deferred to a trigger that has started or running in a worker."""
        self.until_task_is(task_id, state)
        self.submitted_job(task_id)
        if state == "deferred":
            self.until(lambda: self.trigger_starts(task_id) > 0, f"the trigger of {task_id} to start")

    def submitted_job(self, task_id: str, *, other_than: str | None = None) -> str:
        """Return the job's name when a task has submitted one; a cleared task's, when it isn't the old one any more."""
        found: list[str] = []

        def has_submitted() -> bool:
            has_ended = self.task(task_id).state in ENDS
            name = self._airflow.api.xcom(self.dag_id, self.run_id, task_id, "job_name")
            found[:] = [name] if name not in {None, other_than} else []
            assert found or not has_ended, f"{task_id} has ended without a job:\n{self.log(task_id)}"
            return bool(found)

        self.until(has_submitted, f"{task_id} to submit a job")
        return found[0]

    def trigger_starts(self, task_id: str, *, map_index: int = -1) -> int:
        """Return how often a triggerer has started the task's trigger."""
        return len(_TRIGGER_STARTED.findall(self.log(task_id, map_index=map_index)))

    def xcoms(self, task_id: str, *, map_index: int = -1) -> Mapping[str, Any]:
        """Return what a task pushed."""
        return self._airflow.api.xcoms(self.dag_id, self.run_id, task_id, map_index=map_index)

    def rendered(self, task_id: str) -> Mapping[str, object]:
        """Return a task's template fields as they were rendered."""
        return self._airflow.api.rendered_fields(self.dag_id, self.run_id, task_id)

    def log(self, task_id: str, *, map_index: int = -1) -> str:
        """Return the log of a task's latest try."""
        return self._airflow.api.log(self.dag_id, self.run_id, self.task(task_id, map_index=map_index))

    def job_lines(self, task_id: str, *, map_index: int = -1) -> list[JobLine]:
        """Return the lines of the task's script in its log."""
        task = self.task(task_id, map_index=map_index)
        return JobLine.all_of(self._airflow.api.log_events(self.dag_id, self.run_id, task))

    def mark(self, task_id: str, state: str) -> None:
        """Mark a task, such as `failed`, as a user does in the UI."""
        self._airflow.api.set_state(self.dag_id, self.run_id, task_id, state)

    def mark_run(self, state: str) -> None:
        """Mark the whole run, such as `failed`, as a user does in the UI."""
        self._airflow.api.set_run_state(self.dag_id, self.run_id, state)

    def clear(self, task_id: str) -> None:
        """Clear a task as a user does in the UI."""
        self._airflow.api.clear(self.dag_id, self.run_id, task_id)

    def task(self, task_id: str, *, map_index: int = -1) -> TaskInstance:
        """Return a task of the run as it is now."""
        return next(task for task in self.tasks() if (task.task_id, task.map_index) == (task_id, map_index))

    def tasks(self) -> list[TaskInstance]:
        """Return the tasks of the run as they are now."""
        return states_of(self._airflow).task_instances(self.dag_id, self.run_id)

    def state(self) -> str:
        """Return the run's state as it is now."""
        return states_of(self._airflow).run_state(self.dag_id, self.run_id)

    def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something is so: no test depends on how fast the machine is, and none waits for ever."""
        self._airflow.processes.wait_until(ready, within=PATIENCE_SECONDS, what=f"{self.dag_id}: {what}")
