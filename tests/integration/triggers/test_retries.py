"""What a try finds that comes after one which died."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.serde import deserialize, serialize

from airflow_sm_processing.operators.attempt import UnwantedJobError
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger
from tests.integration.triggers.test_log_handover import status_of, until_written
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_sm_processing import ProcessingOperator
    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

    TaskFactory = Callable[..., ProcessingOperator]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What holds a job back until it exists."""
    return tmp_path / "gate"


def waits_at(gate: Path) -> str:
    """Return a line of Python that prints a line and waits for the gate."""
    opened = f"lambda: os.path.exists({str(gate)!r})"
    return f"import os, time; print('one', flush=True); [time.sleep(0.1) for _ in iter({opened}, True)]"


def job_of(runner: Runner) -> str:
    name: str = runner.supervisor.xcoms["task", -1]["job_name"]
    return name


def test_a_deferrable_retry_waits_for_the_job_and_shows_its_log_from_the_beginning(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    gate: Path,
    capfd: pytest.CaptureFixture[str],
):
    task = task_factory(waits_at(gate), deferrable=True)
    first = runner.run(task)
    name = job_of(runner)
    until_written(sagemaker, name, "one")  # the job's line is older than the next try
    runner.supervisor.xcoms.clear()
    second = runner.run(task)
    assert (job_of(runner), second.deferred.classpath) == (name, first.deferred.classpath)
    gate.touch()
    capfd.readouterr()
    (event,) = asyncio.run(events_of(ProcessingJobTrigger(**deserialize(second.deferred.trigger_kwargs))))
    arguments = deserialize(second.deferred.next_kwargs) | {"event": event.payload}
    ended = runner.run(task, resume=(second.deferred.next_method, serialize(arguments)))
    assert (ended.state, job_of(runner)) == ("success", name)
    assert capfd.readouterr().out.count("] one") == 1


async def events_of(trigger: ProcessingJobTrigger) -> list[Any]:
    return [event async for event in trigger.run()]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_that_completed_while_nobody_waited_is_taken_without_a_deferral(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, deferrable: bool
):
    task = task_factory("pass", wait_for_completion=False)
    runner.run(task)
    name = job_of(runner)
    status = lambda: status_of(sagemaker, name)  # noqa: E731
    wait_until(lambda: status() != "InProgress", shows=status)
    runner.supervisor.xcoms.clear()
    task.wait_for_completion, task.deferrable = True, deferrable
    ended = runner.run(task)
    assert (ended.state, job_of(runner)) == ("success", name)


def test_a_task_that_wants_no_earlier_job_fails_without_a_retry(runner: Runner, task_factory: TaskFactory, gate: Path):
    task = task_factory(waits_at(gate), deferrable=True, on_existing_job="fail")
    runner.run(task)
    ended = runner.run(task)
    gate.touch()
    assert (ended.state, type(ended.error)) == ("failed", UnwantedJobError)
    assert "left processing job a-dag-task-" in str(ended.error)
