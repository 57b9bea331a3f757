"""From the worker to the trigger and back, through Airflow's own task runner."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.serde import deserialize, serialize

from airflow_sm_processing import JobFailedError, ProcessingOperator
from airflow_sm_processing.exceptions import AccessDeniedError, WaitTimeoutError
from airflow_sm_processing.local import Fault
from airflow_sm_processing.processing import JobLogs
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Ended, Runner

    TaskFactory = Callable[..., ProcessingOperator]

SLEEPS = "print('sleeping', flush=True); import time; time.sleep(600)"


def event_of(ended: Ended) -> dict[str, Any]:
    """Return the event that a deferred task's trigger fires, made as the triggerer makes it."""
    module, _, name = ended.deferred.classpath.rpartition(".")
    trigger = getattr(import_module(module), name)(**deserialize(ended.deferred.trigger_kwargs))

    async def first() -> Any:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(first())
    return payload


def resumed(runner: Runner, task: Any, ended: Ended, event: dict[str, Any], **options: Any) -> Ended:
    """Run the task's second stay in a worker."""
    arguments = deserialize(ended.deferred.next_kwargs) | {"event": event}
    return runner.run(task, resume=(ended.deferred.next_method, serialize(arguments)), **options)


def failed_by_airflow(
    runner: Runner, task: Any, reason: Any, traceback: list[str] | None = None, **options: Any
) -> Ended:
    """Run the second stay of a task whose deferral Airflow ended by itself."""
    details = {"error": reason.value, "traceback": traceback}
    return runner.run(task, resume=(TRIGGER_FAIL_REPR, details), **options)


def job_of(runner: Runner, task: str = "task", map_index: int = -1) -> str:
    return runner.supervisor.xcoms[task, map_index]["job_name"]


def status_of(sagemaker: LocalSageMaker, job_name: str) -> str:
    job = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job_name)
    return str(job["ProcessingJobStatus"])


def until_written(sagemaker: LocalSageMaker, job_name: str, line: str) -> None:
    """Wait until CloudWatch has a line of the job."""
    client = sagemaker.client("logs")
    written = lambda: [shown.message for shown in JobLogs(client, job_name).new_lines()]  # noqa: E731
    wait_until(lambda: line in written(), shows=written)


STOPPED = {"Stopping", "Stopped"}


def test_what_is_handed_over(runner: Runner, task_factory: TaskFactory):
    task = task_factory(
        "pass",
        deferrable=True,
        max_wait=timedelta(minutes=5),
        max_transient_seconds=77,
        region_name="us-east-1",
        verify="{{ 'True' }}",
        botocore_config="{{ '{\"connect_timeout\": 3}' }}",
        default_bucket_prefix="a/prefix",
    )
    before = time.time()
    deferred = runner.run(task).deferred
    sent = deserialize(deferred.trigger_kwargs)
    (at, bound), since = sent.pop("deadline"), sent.pop("since")
    assert sent == {
        "job_name": job_of(runner),
        "connection": {
            "aws_conn_id": "aws_default",
            "region_name": "us-east-1",
            "verify": True,
            "botocore_config": {"connect_timeout": 3},
            "default_bucket": None,
            "default_bucket_prefix": "a/prefix",
        },
        "poll_interval": 0.2,
        "max_transient_seconds": 77.0,
        "logs": True,
        "hosts": 1,
        "stop_on_kill": True,
        "end_task": False,
        "mask_env": False,
        "queue_key": "ml.m5.xlarge",
        "refused_since": None,
    }
    assert before <= since <= time.time()
    assert (bound, before + 300 <= at <= time.time() + 300) == ("max_wait", True)
    assert deferred.next_method == "execute_complete"
    assert deferred.trigger_timeout is not None
    assert timedelta(seconds=300) < deferred.trigger_timeout


def test_a_deferral_never_times_out_by_itself(runner: Runner, task_factory: TaskFactory):
    deferred = runner.run(task_factory("pass", deferrable=True)).deferred
    assert (deferred.trigger_timeout, deserialize(deferred.trigger_kwargs)["deadline"]) == (None, None)


def test_airflows_own_default_decides_where_the_task_does_not(
    runner: Runner, task_factory: TaskFactory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    by_default = task_factory("pass", task_id="by_default")
    never = task_factory("pass", task_id="never", deferrable=False)
    submits = task_factory("pass", task_id="submits", wait_for_completion=False)
    assert [runner.run(task).state for task in (by_default, never, submits)] == ["deferred", "success", "success"]


def test_a_deadline_that_passes_in_the_trigger_stops_the_job_and_shows_its_log(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, capfd: pytest.CaptureFixture[str]
):
    task = task_factory(SLEEPS, deferrable=True, max_wait=3)
    deferred = runner.run(task)
    until_written(sagemaker, job_of(runner), "sleeping")
    ended = resumed(runner, task, deferred, event_of(deferred))
    assert (ended.state, type(ended.error)) == ("up_for_retry", WaitTimeoutError)
    assert str(ended.error) == f"Processing job {job_of(runner)} had not ended after 3 s."
    assert status_of(sagemaker, job_of(runner)) in STOPPED
    assert "[algo-1] " in capfd.readouterr().out


def test_an_execution_timeout_that_passes_in_the_trigger_is_airflows_own_error(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    runner.started = datetime.now(timezone.utc) - timedelta(minutes=10)
    task = task_factory(SLEEPS, deferrable=True, execution_timeout=timedelta(minutes=10, seconds=2), max_wait=3600)
    deferred = runner.run(task)
    ended = resumed(runner, task, deferred, event_of(deferred))
    assert isinstance(ended.error, AirflowTaskTimeout)
    assert str(ended.error) == f"execution_timeout was reached: processing job {job_of(runner)} was stopped."
    assert status_of(sagemaker, job_of(runner)) in STOPPED


@pytest.mark.parametrize(
    ("bounds", "error"),
    [({"max_wait": 60}, WaitTimeoutError), ({"execution_timeout": timedelta(hours=1)}, AirflowTaskTimeout)],
    ids=["max_wait", "execution_timeout"],
)
def test_a_deferral_that_airflow_times_out_stops_the_job(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    bounds: dict[str, Any],
    error: type[BaseException],
):
    """No triggerer ran for the whole of the wait."""
    task = task_factory(SLEEPS, deferrable=True, **bounds)
    runner.run(task)
    runner.started -= timedelta(hours=2)
    ended = failed_by_airflow(runner, task, TriggerFailureReason.TRIGGER_TIMEOUT)
    assert isinstance(ended.error, error)
    assert job_of(runner) in str(ended.error)
    assert status_of(sagemaker, job_of(runner)) in STOPPED


def test_a_job_that_ended_while_no_triggerer_ran_counts(runner: Runner, task_factory: TaskFactory):
    task = task_factory("pass", deferrable=True, max_wait=60)
    event_of(runner.run(task))  # now the job has ended
    ended = failed_by_airflow(runner, task, TriggerFailureReason.TRIGGER_TIMEOUT)
    assert (ended.state, ended.error) == ("success", None)
    assert runner.supervisor.xcoms["task", -1]["return_value"]["status"] == "Completed"


def test_after_a_triggers_crash_the_worker_waits(
    runner: Runner, task_factory: TaskFactory, capfd: pytest.CaptureFixture[str]
):
    task = task_factory("print('a line'); raise SystemExit(3)", deferrable=True)
    runner.run(task)
    crash = ["Traceback (most recent call last):\n", "ZeroDivisionError: division by zero\n"]
    ended = failed_by_airflow(runner, task, TriggerFailureReason.TRIGGER_FAILURE, crash)
    assert isinstance(ended.error, JobFailedError)
    log = capfd.readouterr().out
    assert "The trigger failed (Trigger failure), so this worker waits." in log
    assert "ZeroDivisionError: division by zero" in log
    assert "a line" in log


def test_after_a_triggers_crash_the_bounds_of_the_wait_hold(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    task = task_factory(SLEEPS, deferrable=True, max_wait=1)
    runner.run(task)
    ended = failed_by_airflow(runner, task, TriggerFailureReason.TRIGGER_FAILURE)
    assert isinstance(ended.error, WaitTimeoutError)
    assert status_of(sagemaker, job_of(runner)) in STOPPED


def test_a_mapped_task_sees_to_its_own_job(runner: Runner, dag: DAG, common: dict[str, Any], sagemaker: LocalSageMaker):
    mapped = ProcessingOperator.partial(task_id="mapped", deferrable=True, max_wait=60, **common).expand(
        arguments=[[SLEEPS], [SLEEPS]]
    )
    for index in (0, 1):
        runner.run(mapped, map_index=index)
    failed_by_airflow(runner, mapped, TriggerFailureReason.TRIGGER_TIMEOUT, map_index=1)
    assert status_of(sagemaker, job_of(runner, "mapped", 1)) in STOPPED
    assert status_of(sagemaker, job_of(runner, "mapped", 0)) == "InProgress"


def test_a_job_that_the_triggerer_cannot_watch_is_watched_by_the_worker(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, capfd: pytest.CaptureFixture[str]
):
    task = task_factory("import time; time.sleep(2)", deferrable=True, max_transient_seconds=1)
    deferred = runner.run(task)
    sagemaker.set_faults(Fault(operation="DescribeProcessingJob", error="AccessDeniedException"))
    event = event_of(deferred)
    sagemaker.set_faults()
    ended = resumed(runner, task, deferred, event)
    assert (event["outcome"], ended.state) == ("trouble", "success")
    assert (
        "The triggerer could not watch the job, so this worker waits: DescribeProcessingJob" in capfd.readouterr().out
    )


@pytest.mark.parametrize(("retries_left", "left"), [(True, {"InProgress"}), (False, STOPPED)])
def test_a_job_that_the_worker_cannot_watch_either_is_left_to_the_next_try_or_stopped(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, retries_left: bool, left: set[str]
):
    task = task_factory(SLEEPS, deferrable=True, max_transient_seconds=1)
    deferred = runner.run(task)
    sagemaker.set_faults(Fault(operation="DescribeProcessingJob", error="AccessDeniedException"))
    ended = resumed(runner, task, deferred, event_of(deferred), retries_left=retries_left)
    sagemaker.set_faults()
    assert isinstance(ended.error, AccessDeniedError)
    assert status_of(sagemaker, job_of(runner)) in left
