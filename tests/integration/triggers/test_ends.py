"""What becomes of a task and its job at the wait's end, where the task's parameters say more than the defaults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import TaskSuccessEvent

from airflow_sm_processing import ProcessingOperator
from airflow_sm_processing.exceptions import JobNotFoundError, WaitTimeoutError
from airflow_sm_processing.triggers.events import JobEvent
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger
from airflow_sm_processing.watcher.watches import JobOutcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Ended, Runner

    TaskFactory = Callable[..., ProcessingOperator]

SLEEPS = "import time; time.sleep(600)"
THREE_LINES = "print('one'); print('two'); print('three')"


def trigger_of(ended: Ended) -> ProcessingJobTrigger:
    return ProcessingJobTrigger(**deserialize(ended.deferred.trigger_kwargs))


async def event_of(trigger: ProcessingJobTrigger) -> Any:
    """Return the one event of a trigger."""
    (event,) = [event async for event in trigger.run()]
    return event


def fired_by(trigger: ProcessingJobTrigger) -> Any:
    """Run a trigger to its end, and return its event."""
    return asyncio.run(event_of(trigger))


def resumed(runner: Runner, task: Any, ended: Ended, event: JobEvent) -> Ended:
    arguments = deserialize(ended.deferred.next_kwargs) | {"event": event.to_payload()}
    return runner.run(task, resume=(ended.deferred.next_method, serialize(arguments)))


def xcoms(runner: Runner) -> dict[str, Any]:
    return runner.supervisor.xcoms["task", -1]


def status_of(sagemaker: LocalSageMaker, runner: Runner) -> str:
    name = xcoms(runner)["job_name"]
    return str(sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])


def lines_in(log: str) -> list[str]:
    """Return the job's own lines in a log, in order."""
    return [word for line in log.splitlines() for word in ("one", "two", "three") if f"] {word}" in line]


def test_the_trigger_ends_the_task_with_the_result_that_a_worker_would_give(
    runner: Runner, task_factory: TaskFactory, capfd: pytest.CaptureFixture[str]
):
    event = fired_by(trigger_of(runner.run(task_factory(THREE_LINES, deferrable=True, end_from_trigger=True))))
    assert isinstance(event, TaskSuccessEvent)
    assert lines_in(capfd.readouterr().out) == ["one", "two", "three"]
    job = xcoms(runner)["job_name"]
    worker = runner.run(task_factory(THREE_LINES, task_id="by_worker", end_from_trigger=True))
    assert worker.state == "success"
    by_worker = runner.supervisor.xcoms["by_worker", -1]["return_value"]
    assert event.xcoms is not None
    assert event.xcoms.keys() == {"return_value"}
    by_trigger: Any = event.xcoms["return_value"]
    assert by_trigger.keys() == by_worker.keys()
    alike = {"status", "outputs", "exit_message", "failure_reason"}
    assert {key: by_trigger[key] for key in alike} == {key: by_worker[key] for key in alike}
    assert (by_trigger["job_name"], by_trigger["instance_seconds"] > 0) == (job, True)


@pytest.mark.parametrize("line", ["raise SystemExit(3)", "import os, signal; os.kill(os.getpid(), 9)"])
def test_a_job_that_did_not_complete_is_a_workers(runner: Runner, task_factory: TaskFactory, line: str):
    event = fired_by(trigger_of(runner.run(task_factory(line, deferrable=True, end_from_trigger=True))))
    assert JobEvent.from_payload(event.payload).outcome is JobOutcome.ENDED


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"outlets": [Asset("s3://a/b")]}, "it has outlets"),
        ({"logs": "tail"}, "it shows the log's end"),
        ({"do_xcom_push": False}, "do_xcom_push=False"),
        ({"post_execute": lambda context, result: None}, "post_execute"),
        ({"on_success_callback": lambda context: None}, "on_success_callback"),
    ],
    ids=["outlets", "logs=tail", "do_xcom_push", "post_execute", "on_success_callback"],
)
def test_what_needs_a_worker_gets_one(
    runner: Runner,
    task_factory: TaskFactory,
    capfd: pytest.CaptureFixture[str],
    parameters: dict[str, Any],
    reason: str,
):
    ended = runner.run(task_factory("pass", deferrable=True, end_from_trigger=True, **parameters))
    assert trigger_of(ended).end_task is False
    log = capfd.readouterr().out
    assert "A worker will end the task, though end_from_trigger=True: " in log
    assert reason in log


def test_a_task_that_others_are_mapped_over_needs_a_worker(
    runner: Runner, task_factory: TaskFactory, common: dict[str, Any]
):
    task = task_factory("pass", deferrable=True, end_from_trigger=True)
    ProcessingOperator.partial(task_id="mapped", **common).expand(env=task.output)
    assert trigger_of(runner.run(task)).end_task is False


def test_a_job_that_shall_go_on_survives_its_task(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, capfd: pytest.CaptureFixture[str]
):
    ended = runner.run(task_factory(SLEEPS, max_wait=1, stop_on_kill=False))
    assert isinstance(ended.error, WaitTimeoutError)
    assert "goes on without its task: stop_on_kill=False." in capfd.readouterr().out
    assert status_of(sagemaker, runner) == "InProgress"
    ended.task.on_kill()
    asyncio.run(ProcessingJobTrigger(xcoms(runner)["job_name"], stop_on_kill=False).on_kill())
    assert status_of(sagemaker, runner) == "InProgress"
    sagemaker.client("sagemaker").stop_processing_job(ProcessingJobName=xcoms(runner)["job_name"])


def test_a_deadline_that_passed_in_the_trigger_has_stopped_the_job_before_a_worker_is_there(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    task = task_factory(SLEEPS, deferrable=True, max_wait=2)
    deferred = runner.run(task)
    event = JobEvent.from_payload(fired_by(trigger_of(deferred)).payload)
    assert (event.outcome, status_of(sagemaker, runner) in {"Stopping", "Stopped"}) == (JobOutcome.DEADLINE, True)
    assert isinstance(resumed(runner, task, deferred, event).error, WaitTimeoutError)


def test_a_deleted_job_fails_the_task_with_the_services_words(runner: Runner, task_factory: TaskFactory):
    task = task_factory("pass", deferrable=True)
    deferred = runner.run(task)
    event = JobEvent(job_name="gone", outcome=JobOutcome.UNKNOWN, message="Could not find requested job")
    error = resumed(runner, task, deferred, event).error
    assert isinstance(error, JobNotFoundError)
    assert "DescribeProcessingJob for gone failed" in str(error)


def test_a_worker_looks_for_itself_before_it_believes_that_a_job_is_unknown(runner: Runner, task_factory: TaskFactory):
    """The triggerer may look with an older connection, or in another region."""
    task = task_factory("pass", deferrable=True)
    deferred = runner.run(task)
    event = JobEvent(job_name=xcoms(runner)["job_name"], outcome=JobOutcome.UNKNOWN, message="Could not find")
    assert resumed(runner, task, deferred, event).state == "success"


@pytest.mark.parametrize("bound", [float("inf"), float("nan"), 1e15])
def test_a_bound_that_is_none_is_refused(bound: float):
    with pytest.raises(Exception, match=r"max_wait=.*: must be"):
        ProcessingOperator(
            task_id="task", role="R", image_uri="i", instance_count=1, instance_type="ml.m5.large", max_wait=bound
        )


def test_what_fails_between_submission_and_deferral_stops_the_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "perhaps")
    assert runner.run(task_factory(SLEEPS), retries_left=False).error is not None
    assert status_of(sagemaker, runner) in {"Stopping", "Stopped"}


def test_trigger_and_worker_together_show_each_line_once(
    runner: Runner, task_factory: TaskFactory, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    gate = tmp_path / "gate"
    waits = f"import pathlib, time; [time.sleep(0.1) for _ in iter(pathlib.Path({str(gate)!r}).exists, True)]"
    task = task_factory(f"{THREE_LINES}; import sys; sys.stdout.flush(); {waits}", deferrable=True, poll_interval=1)
    deferred = runner.run(task)
    shown: list[str] = []

    async def fired_when_shown() -> Any:
        firing = asyncio.create_task(event_of(trigger_of(deferred)))
        while len(shown) < len(("one", "two", "three")) and not firing.done():
            await asyncio.sleep(0.1)
            shown.extend(lines_in((await asyncio.to_thread(capfd.readouterr)).out))
        gate.touch()
        return await firing

    event = JobEvent.from_payload(asyncio.run(fired_when_shown()).payload)
    assert shown == ["one", "two", "three"]
    assert resumed(runner, task, deferred, event).state == "success"
    assert lines_in(capfd.readouterr().out) == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_logs_tail_comes_at_the_end(
    runner: Runner, task_factory: TaskFactory, capfd: pytest.CaptureFixture[str], deferrable: bool
):
    line = "for n in range(200): print('early' if n < 197 else ('one', 'two', 'three')[n - 197])"
    task = task_factory(line, deferrable=deferrable, logs="tail")
    ended = runner.run(task)
    if deferrable:
        event = JobEvent.from_payload(fired_by(trigger_of(ended)).payload)
        assert lines_in(capfd.readouterr().out) == []
        ended = resumed(runner, task, ended, event)
    assert ended.state == "success"
    log = capfd.readouterr().out
    assert lines_in(log) == ["one", "two", "three"]
    assert log.count("early") == 17  # of the last twenty


def test_logs_of_another_kind_are_refused():
    with pytest.raises(Exception, match="logs='all': must be true, false or 'tail'"):
        ProcessingOperator(
            task_id="task", role="R", image_uri="i", instance_count=1, instance_type="ml.m5.large", logs="all"
        )
