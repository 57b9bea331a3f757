"""Where AWS has no room for a job, its task waits: in a worker, or deferred to a queue."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import DeferTask
from airflow.sdk.serde import deserialize, serialize

from airflow_sm_processing.exceptions import CapacityError, JobFailedError, TransientError
from airflow_sm_processing.triggers.processing import CapacityTrigger, ProcessingJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing import ProcessingOperator
    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Ended, Runner

    TaskFactory = Callable[..., ProcessingOperator]

TRIGGERS = {
    f"{trigger.__module__}.{trigger.__qualname__}": trigger for trigger in (CapacityTrigger, ProcessingJobTrigger)
}
NO_CAPACITY = "RunProcessingJob:error=CapacityError,times={}"


def stays(runner: Runner, task: Any) -> list[Ended]:
    """Run a task as Airflow does, stay by stay in workers, with its triggers in between."""
    found = [runner.run(task)]
    while isinstance(found[-1].message, DeferTask):
        found.append(resumed(runner, task, found[-1].deferred))
    return found


def resumed(runner: Runner, task: Any, deferred: DeferTask) -> Ended:
    """Run the trigger, and then the task's next stay."""
    arguments = deserialize(deferred.next_kwargs) | {"event": asyncio.run(fired(deferred))}
    return runner.run(task, resume=(deferred.next_method, serialize(arguments)))


async def fired(deferred: DeferTask) -> Any:
    trigger = TRIGGERS[deferred.classpath](**deserialize(deferred.trigger_kwargs))
    (event,) = [event async for event in trigger.run()]
    return event.payload


def jobs_of(sagemaker: LocalSageMaker, runner: Runner) -> list[tuple[str, str]]:
    """Return the number and the status of each job of the task, and check that its result is of the last."""
    name = runner.supervisor.xcoms["task", -1]["job_name"]
    stem, _, last = name.rpartition("-")
    client = sagemaker.client("sagemaker")
    jobs = client.list_processing_jobs(NameContains=stem, SortBy="CreationTime", SortOrder="Ascending")
    found = [
        (job["ProcessingJobName"].rpartition("-")[2], job["ProcessingJobStatus"])
        for job in jobs["ProcessingJobSummaries"]
    ]
    assert found[-1][0] == last
    return found


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ThrottlingException"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_refused_job_is_submitted_when_there_is_room(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    caplog: pytest.LogCaptureFixture,
    deferrable: bool,
    code: str,
):
    sagemaker.set_faults(f"CreateProcessingJob:error={code},times=1")
    once = {"retries": {"total_max_attempts": 1}}
    found = stays(runner, task_factory("pass", deferrable=deferrable, botocore_config=once))
    assert found[-1].state == "success"
    assert jobs_of(sagemaker, runner) == [("1", "Completed")]
    classes = [stay.deferred.classpath.rpartition(".")[2] for stay in found[:-1]]
    assert classes == (["CapacityTrigger", "ProcessingJobTrigger"] if deferrable else [])
    assert (
        "AWS has no capacity for the job; waiting for 0 s of at most 21600 s: CreateProcessingJob for a-dag-task-"
        in caplog.text
    )


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_that_found_no_instances_is_followed_by_another(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, deferrable: bool
):
    sagemaker.set_faults(NO_CAPACITY.format(1))
    found = stays(runner, task_factory("pass", deferrable=deferrable))
    assert found[-1].state == "success"
    assert jobs_of(sagemaker, runner) == [("1", "Failed"), ("2", "Completed")]


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [("CreateProcessingJob:error=ResourceLimitExceeded", CapacityError), (NO_CAPACITY.format(99), JobFailedError)],
)
def test_the_wait_for_room_has_its_bound(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    fault: str,
    kind: type[Exception],
    deferrable: bool,
):
    sagemaker.set_faults(fault)
    ended = stays(runner, task_factory("pass", deferrable=deferrable, max_capacity_wait=timedelta(seconds=1)))[-1]
    assert isinstance(ended.error, kind)


def test_execution_timeout_bounds_the_wait_for_room(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    sagemaker.set_faults("CreateProcessingJob:error=ResourceLimitExceeded")
    task = task_factory("pass", deferrable=True, execution_timeout=timedelta(hours=1))
    deferred = runner.run(task).deferred
    arguments = deserialize(deferred.trigger_kwargs)
    assert deferred.classpath.endswith("CapacityTrigger")
    assert arguments["until"] == pytest.approx(runner.started.timestamp() + 3600)
    runner.started -= timedelta(hours=1)
    deferred.trigger_kwargs = serialize(arguments | {"until": runner.started.timestamp() + 3600})
    error = resumed(runner, task, deferred).error
    assert type(error).__name__ == "AirflowTaskTimeout"
    assert "execution_timeout was reached while AWS had no capacity for the job: CreateProcessingJob" in str(error)


def test_a_lost_trigger_is_no_reason_to_fail(runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker):
    sagemaker.set_faults("CreateProcessingJob:error=ResourceLimitExceeded,times=1")
    task = task_factory("pass", deferrable=True)
    runner.run(task)
    ended = runner.run(task, resume=("__fail__", {"error": "Trigger failure", "traceback": []}))
    assert ended.deferred.classpath.endswith("ProcessingJobTrigger")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("CreateProcessingJob:error=ResourceLimitExceeded", CapacityError), (NO_CAPACITY.format(99), JobFailedError)],
)
def test_where_no_triggerer_runs_airflow_ends_the_wait_for_room(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, fault: str, kind: type[Exception]
):
    sagemaker.set_faults(fault)
    task = task_factory("pass", deferrable=True, max_capacity_wait=60, poll_interval=0.1)
    ended = runner.run(task)
    while not ended.deferred.classpath.endswith("CapacityTrigger"):
        ended = resumed(runner, task, ended.deferred)
    assert ended.deferred.trigger_timeout is not None
    assert 80 < ended.deferred.trigger_timeout.total_seconds() <= 90
    ended = runner.run(task, resume=("__fail__", {"error": "Trigger timeout"}))
    assert isinstance(ended.error, kind)


def test_other_trouble_is_not_waited_out_as_long(runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker):
    sagemaker.set_faults("CreateProcessingJob:error=InternalFailure,status=500")
    once = {"retries": {"total_max_attempts": 1}}
    task = task_factory("pass", deferrable=True, max_transient_seconds=1, botocore_config=once)
    error = stays(runner, task)[-1].error
    assert isinstance(error, TransientError)
    assert "InternalFailure" in str(error)
