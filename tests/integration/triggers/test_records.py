"""What the pages are told of a job while its task is in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
from airflow.sdk.execution_time.comms import SetXCom

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_sm_processing import ProcessingOperator
    from tests.task_runner import Runner

    TaskFactory = Callable[..., ProcessingOperator]

LINE = "import time; time.sleep(4)"


def records(runner: Runner) -> list[dict[str, Any]]:
    """Return the records that the task pushed, one after the other."""
    return [
        message.value for message in runner.supervisor.said if isinstance(message, SetXCom) and message.key == "_job"
    ]


def until_seen_running(runner: Runner, gate: Path) -> str:
    """Return a script that ends when the task has pushed the record of its running job."""

    def pushed(key: str) -> None:
        if key == "_job" and len(records(runner)) == len(("submitted", "running")):
            gate.touch()

    runner.supervisor.on_xcom = pushed
    return f"import pathlib, time; [time.sleep(0.1) for _ in iter(pathlib.Path({str(gate)!r}).exists, True)]"


def seen(record: dict[str, Any]) -> tuple[str, bool]:
    return record["status"], record["started_at"] is not None


def test_a_worker_tells_of_the_start_and_of_the_end(runner: Runner, task_factory: TaskFactory, tmp_path: Path):
    script = until_seen_running(runner, tmp_path / "gate")
    assert runner.run(task_factory(script)).state == "success"
    assert [seen(record) for record in records(runner)] == [
        ("InProgress", False),
        ("InProgress", True),
        ("Completed", True),
    ]


def test_a_worker_that_takes_over_from_a_trigger_knows_the_job_as_the_first_one_did(
    runner: Runner, task_factory: TaskFactory, tmp_path: Path
):
    task = task_factory(until_seen_running(runner, tmp_path / "gate"), deferrable=True)
    assert runner.run(task).deferred
    failure = {"error": TriggerFailureReason.TRIGGER_FAILURE.value, "traceback": None}
    assert runner.run(task, resume=(TRIGGER_FAIL_REPR, failure)).state == "success"
    submitted, *later = records(runner)
    assert [seen(record) for record in later] == [("InProgress", True), ("Completed", True)]
    for name in ("job_name", "job_arn", "image_uri", "instance_type", "links"):
        assert [record[name] for record in later] == [submitted[name]] * 2


def test_the_record_of_a_later_try_stays(runner: Runner, task_factory: TaskFactory):
    later = {"job_name": "of-the-new-try", "try_number": 2}

    def tried_again(key: str) -> None:
        """Put a record there as soon as there is one, as the new try of a cleared task does."""
        if key == "_job":
            runner.supervisor.xcoms["task", -1]["_job"] = later

    runner.supervisor.on_xcom = tried_again
    assert runner.run(task_factory(LINE)).state == "success"
    assert len(records(runner)) == 1
    assert runner.supervisor.xcoms["task", -1]["_job"] is later
