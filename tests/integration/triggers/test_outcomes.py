"""A trigger fires once: the job has ended, its deadline has passed, or it can't be watched."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import Fault
from airflow_sm_processing.triggers.events import Deadline, JobEvent
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger
from airflow_sm_processing.watcher.watches import JobOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob

    JobFactory = Callable[[str], ProcessingJob]

SOON = 120.0
"""Seconds; far less than what the jobs and the patience of these tests last, and enough for a busy machine."""


async def payloads(trigger: ProcessingJobTrigger) -> list[Any]:
    """Return everything that a trigger yields until it is done."""
    return [event.payload async for event in trigger.run()]


def waited(job_name: str, **parameters: Any) -> tuple[list[Any], float]:
    """Run a trigger to its end and return its events and the seconds that it took."""
    started = time.monotonic()
    trigger = ProcessingJobTrigger(job_name, poll_interval=0.1, **parameters)
    return asyncio.run(payloads(trigger)), time.monotonic() - started


@pytest.mark.parametrize(("line", "status"), [("pass", "Completed"), ("raise SystemExit(3)", "Failed")])
def test_it_fires_when_the_job_has_ended(job_factory: JobFactory, line: str, status: str):
    job = job_factory(line)
    events, _ = waited(job.job_name)
    assert events == [JobEvent(job_name=job.job_name, outcome=JobOutcome.ENDED).to_payload()]
    assert job.description().status.value == status


@pytest.mark.parametrize(
    ("stop_on_kill", "statuses"),
    [(True, {"Stopping", "Stopped"}), (False, {"InProgress"})],
    ids=["stop", "let it go on"],
)
def test_it_fires_at_its_deadline(job_factory: JobFactory, stop_on_kill: bool, statuses: set[str]):
    job = job_factory("import time; time.sleep(600)")
    at = time.time() + 0.6
    events, _ = waited(job.job_name, deadline=[at, "max_wait"], stop_on_kill=stop_on_kill)
    late = time.time() - at
    fired = JobEvent(job_name=job.job_name, outcome=JobOutcome.DEADLINE, deadline=Deadline(at, "max_wait"))
    assert events == [fired.to_payload()]
    assert 0 <= late < SOON
    assert job.description().status.value in statuses


def test_a_long_poll_interval_does_not_put_off_the_deadline(job_factory: JobFactory):
    job = job_factory("import time; time.sleep(600)")
    at = time.time() + 0.3
    trigger = ProcessingJobTrigger(job.job_name, poll_interval=600, deadline=[at, "max_wait"])
    (event,) = asyncio.run(payloads(trigger))
    assert (event["outcome"], 0 <= time.time() - at < SOON) == ("deadline", True)


def test_a_deadline_is_a_moment_and_does_not_begin_anew_with_the_trigger(job_factory: JobFactory):
    """A triggerer that restarts makes its triggers again from what `serialize` returned."""
    job = job_factory("import time; time.sleep(600)")
    first = ProcessingJobTrigger(job.job_name, poll_interval=0.1, deadline=[time.time() - 5, "execution_timeout"])
    again = ProcessingJobTrigger(**first.serialize()[1])
    started = time.monotonic()
    (event,) = asyncio.run(payloads(again))
    assert (event["outcome"], event["deadline"]) == ("deadline", list(first.deadline or ()))
    assert time.monotonic() - started < SOON


@pytest.mark.parametrize(
    "fault",
    [
        Fault(operation="DescribeProcessingJob", error="ThrottlingException", times=8),
        Fault(operation="DescribeProcessingJob", error="InternalFailure", status=500, times=8),
        Fault(operation="DescribeProcessingJob", drop="before", times=8),
    ],
    ids=["throttling", "5xx", "lost connections"],
)
def test_what_may_pass_is_borne(sagemaker: LocalSageMaker, job_factory: JobFactory, fault: Fault):
    job = job_factory("pass")
    sagemaker.set_faults(fault)
    events, _ = waited(job.job_name, connection=impatient(), max_transient_seconds=600)
    assert [event["outcome"] for event in events] == ["ended"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(operation="DescribeProcessingJob", error="ThrottlingException"), "ThrottlingException"),
        (Fault(operation="DescribeProcessingJob", error="InternalFailure", status=500), "InternalFailure"),
        (Fault(operation="DescribeProcessingJob", drop="before"), "ConnectionClosedError"),
    ],
    ids=["throttling", "5xx", "lost connections"],
)
def test_what_does_not_pass_in_time_is_trouble(
    sagemaker: LocalSageMaker, job_factory: JobFactory, fault: Fault, says: str
):
    job = job_factory("import time; time.sleep(600)")
    sagemaker.set_faults(fault)
    (event,), seconds = waited(job.job_name, connection=impatient(), max_transient_seconds=0.5)
    assert (event["job_name"], event["outcome"], event["deadline"]) == (job.job_name, "trouble", None)
    assert says in event["message"]
    assert 0.5 <= seconds < SOON


def test_an_unknown_job_is_told_at_once():
    at = time.time() + 600
    (event,), seconds = waited("no-such-job", deadline=[at, "max_wait"], max_transient_seconds=600)
    assert (event["outcome"], event["deadline"]) == ("unknown", [at, "max_wait"])
    assert "DescribeProcessingJob for no-such-job failed" in event["message"]
    assert seconds < SOON


def test_a_connection_that_cannot_be_used_is_trouble():
    (event,), _ = waited("a-job", connection={"botocore_config": {"bogus": 1}})
    assert event["outcome"] == "trouble"
    assert "botocore_config=(hidden, a dict): Got unexpected keyword argument 'bogus'" in event["message"]


def test_a_user_who_ends_the_task_stops_the_job(job_factory: JobFactory):
    job = job_factory("import time; time.sleep(600)")
    asyncio.run(ProcessingJobTrigger(job.job_name).on_kill())
    assert job.description().status.value in {"Stopping", "Stopped"}


def impatient() -> dict[str, Any]:
    """A connection on which botocore doesn't retry by itself: each fault is one failed look."""
    return {"botocore_config": {"retries": {"total_max_attempts": 1}}}
