"""The moments of a task's life at which something happens to it; each is reached from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .calls import At
from .scene import Scene

Step = Callable[[Scene], None]


def _nothing(_: Scene) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Point:
    """A moment in a task's life: how to make the task stop there, and how to find out that it has."""

    key: str
    """In the row's name."""
    text: str
    reach: Step
    """Waits until the task is at the point."""
    arm: Step = _nothing
    """Called before the run."""


def _held_at(operation: str, at: At) -> Step:
    return lambda scene: scene.hold_aws(operation, at)


def _holds_the_recording(scene: Scene) -> None:
    key = scene.stage.operator.job_key
    if key is not None:
        scene.hold_airflow(scene.pushes(key))
    else:
        scene.hold_aws("DescribeProcessingJob", At.REQUEST, first_job_made=True)


def _waits(state: str) -> Step:
    def reach(scene: Scene) -> None:
        scene.until_task_is(state)
        scene.until_looked_at(since=0.0)

    return reach


def _holds_the_result(scene: Scene) -> None:
    scene.hold_airflow(scene.pushes("return_value"))


def _ends_its_job(scene: Scene) -> None:
    scene.until_looked_at(since=0.0)
    scene.open_gate()
    scene.until_held()


def _resumes(scene: Scene) -> None:
    WAITS["deferred"].reach(scene)
    scene.hold_airflow(scene.starts)
    _ends_its_job(scene)


def _ends_as(state: str, gate: str) -> Step:
    def reach(scene: Scene) -> None:
        scene.until_looked_at(since=0.0)
        scene.open_gate(text=gate)
        scene.until_task_is(state)
        scene.until_run_is(state)  # of a clear in between, Airflow may forget that the run goes on

    return reach


def _fails_its_job(scene: Scene) -> None:
    WAITS[scene.row.mode].reach(scene)
    scene.open_gate(text="fail")
    scene.until_job_has_ended()


UPLOADING = Point("uploading", "while uploading code", Scene.until_held, _held_at("PutObject", At.REQUEST))
FIRST_CALL = Point("first-call", "at the first call of all", Scene.until_held, Scene.hold_first_call)
BEFORE_CREATE = Point(
    "before-create", "before the create call", Scene.until_held, _held_at("CreateProcessingJob", At.REQUEST)
)
BEFORE_ANSWER = Point(
    "before-answer",
    "after the create call, before its answer",
    Scene.until_held,
    _held_at("CreateProcessingJob", At.ANSWER),
)
UNRECORDED = Point(
    "unrecorded",
    "after the answer, before it is recorded",
    Scene.until_held,
    _holds_the_recording,
)
DEFERRING = Point("deferring", "while deferring", Scene.until_held, lambda scene: scene.hold_airflow(scene.defers))
WAITS = {
    "in_worker": Point("waiting", "waiting in the worker", _waits("running")),
    "deferred": Point("waiting", "deferred", _waits("deferred")),
}
BEFORE_XCOM = {
    "in_worker": Point("before-xcom", "job completed, before XCom", _ends_its_job, _holds_the_result),
    "deferred": Point("before-xcom", "on resume, before XCom", _ends_its_job, _holds_the_result),
}
RESUMING = Point("resuming", "on resume", _resumes)
SUCCEEDED = Point("succeeded", "after success", _ends_as("success", ""))
FAILED = Point("failed", "after failure", _ends_as("failed", "fail"))
JOB_FAILED = Point("job-failed", "job failed", _fails_its_job)
