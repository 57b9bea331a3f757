"""What happens to a task at its point: deaths, cuts and what users do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .points import Step
    from .scene import Scene
    from .stage import Stage

CUT_SECONDS = 60.0
HELD_SECONDS = 5.0
"""Longer than a task's process waits in its handler of SIGTERM for Airflow's answer, which is held up too."""

GRACE_SECONDS = 25.0
"""From SIGTERM to SIGKILL; Kubernetes gives a pod 30 s."""


@dataclass(frozen=True)
class Action:
    """What happens to a task: its description, and the function that does it."""

    key: str
    """In the row's name."""
    text: str
    act: Step


@dataclass(frozen=True)
class SharedAction:
    """What happens to a part of Airflow that all tasks share: once for all rows that wait for it."""

    key: str
    text: str

    def act(self, stage: Stage, scenes: Sequence[Scene]) -> None:
        """Do it."""
        raise NotImplementedError


def _kill_task(scene: Scene) -> None:
    scene.kill("task")
    scene.drop_held()


def _kill_worker(scene: Scene) -> None:
    scene.kill("supervisor", "task")
    scene.drop_held()


def _end_the_job(scene: Scene) -> None:
    scene.open_gate()
    scene.until_job_has_ended()


def _kill_worker_while_the_job_ends(scene: Scene) -> None:
    _kill_worker(scene)
    _end_the_job(scene)


def _kill_worker_and_clear(scene: Scene) -> None:
    _kill_worker(scene)
    _clear(scene)


def _kill_task_and_let_its_call_arrive_late(scene: Scene) -> None:
    scene.kill("task")
    scene.until_jobs(1)
    scene.let_go()


def _kill_supervisor(scene: Scene) -> None:
    scene.kill("supervisor")
    scene.until_try(2)


def _kill_supervisor_and_let_the_call_go(scene: Scene) -> None:
    scene.kill("supervisor")
    scene.until_jobs(1)
    scene.let_go()


def _shut_down(scene: Scene) -> None:
    scene.shut_down()
    if scene.hold is not None:
        time.sleep(HELD_SECONDS)
        scene.let_go()
    scene.kill_what_is_left(after=GRACE_SECONDS)


def _cut(scene: Scene) -> None:
    scene.line.cut()
    scene.let_go()  # what is held beyond the line: the task goes on, and meets the cut
    time.sleep(CUT_SECONDS)
    scene.line.mend()


def _clear(scene: Scene) -> None:
    before = len(scene.jobs())
    scene.clear()
    scene.until_jobs(before + 1)


def _mark(state: str) -> Step:
    return lambda scene: scene.mark(state)


KILL_TASK = Action("task-killed", "task killed", _kill_task)
KILL_WORKER = Action("worker-killed", "worker killed", _kill_worker)
KILL_WORKER_WHILE_THE_JOB_ENDS = Action(
    "worker-killed-job-ends", "worker killed, job completes", _kill_worker_while_the_job_ends
)
KILL_WORKER_AND_CLEAR = Action("worker-killed-cleared", "worker killed, then cleared by a user", _kill_worker_and_clear)
LATE_CALL = Action(
    "late-call", "task killed, its call arrives after the next try's", _kill_task_and_let_its_call_arrive_late
)
KILL_SUPERVISOR = Action("supervisor-killed", "supervisor alone killed", _kill_supervisor)
KILL_SUPERVISOR_AT_CALL = Action(
    "supervisor-killed",
    "supervisor alone killed, its task's call arrives after the next try's",
    _kill_supervisor_and_let_the_call_go,
)
SHUT_DOWN = Action("worker-shut-down", "worker shut down", _shut_down)
SHUT_DOWN_WITHOUT_RETRIES = Action("worker-shut-down-no-retries", "worker shut down, no try left", _shut_down)
CUT = Action("cut", "connection cut for a minute", _cut)
CLEAR = Action("cleared", "cleared by a user", _clear)
MARK_FAILED = Action("marked-failed", "marked failed", _mark("failed"))
MARK_SUCCESS = Action("marked-success", "marked success", _mark("success"))
RETRY = Action("retried", "retried", lambda scene: scene.until_jobs(2))
RUN_TIMES_OUT = Action("dagrun-timeout", "DAG run times out", lambda scene: scene.until_task_is("skipped", "failed"))
TASK_TIMES_OUT = Action("execution-timeout", "execution_timeout", lambda scene: scene.until_task_is("failed"))


class _KillTriggerer(SharedAction):
    """Kill the only triggerer; another is started after everything that happens meanwhile."""

    def act(self, stage: Stage, scenes: Sequence[Scene]) -> None:
        """Do it."""
        (triggerer,) = stage.triggerers.at_least(1)
        stage.triggerers.kill(triggerer)
        for scene in scenes:
            if scene.row.meanwhile is not None:
                scene.row.meanwhile.act(scene)
        stage.triggerers.start()


class _KillScheduler(SharedAction):
    """Kill the scheduler with the executor's workers, which are its children."""

    def act(self, stage: Stage, scenes: Sequence[Scene]) -> None:
        """Do it."""
        for scene in scenes:
            scene.until_noticed()
        stage.airflow.processes.kill_one(stage.airflow.components["scheduler"])
        stage.airflow.start("scheduler")


JOB_ENDS = Action("job-ends", "job completes meanwhile", _end_the_job)
KILL_TRIGGERER = _KillTriggerer("triggerer-killed", "triggerer killed and replaced")
KILL_SCHEDULER = _KillScheduler("scheduler-killed", "scheduler killed and replaced")
