"""How a task ends when its job ends, or is ended: the same with the wait in a worker and deferred."""

from __future__ import annotations

import re
from datetime import timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airflow_sm_processing.local import LocalSageMaker

    from .conftest import Run

MODES = {"ends_in_worker": "running", "ends_deferred": "deferred"}
BUCKET = "sagemaker-us-east-1-123456789012"


@pytest.fixture(params=MODES)
def run(request: pytest.FixtureRequest, ends: dict[str, Run]) -> Run:
    """The run whose tasks wait in this mode."""
    return ends[request.param]


def test_marking_a_task_failed_stops_its_job(run: Run, stopped_job_of: Callable[[Run, str], str]) -> None:
    run.until_task_is("is_marked_failed", MODES[run.dag_id])
    run.until(lambda: "job_name" in run.xcoms("is_marked_failed"), "the job's submission")
    run.mark_failed("is_marked_failed")
    assert stopped_job_of(run, "is_marked_failed") == "Stopped"
    assert run.end_of("is_marked_failed") == "failed"


def test_a_completed_job_gives_its_result_and_where_its_outputs_are(
    run: Run, job_of: Callable[[Run, str], Any], sagemaker: LocalSageMaker
) -> None:
    assert run.end_of("completes") == "success"
    job = job_of(run, "completes")
    name, arn, uri = (
        job["ProcessingJobName"],
        job["ProcessingJobArn"],
        f"s3://{BUCKET}/{job['ProcessingJobName']}/output/result",
    )
    seconds = (job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds()
    assert run.xcoms("completes") == {
        "job_name": name,
        "job_arn": arn,
        "result": uri,
        "return_value": {
            "job_name": name,
            "job_arn": arn,
            "status": "Completed",
            "outputs": {"result": uri},
            "exit_message": "one file written",
            "failure_reason": None,
            "started_at": utc(job["ProcessingStartTime"]),
            "ended_at": utc(job["ProcessingEndTime"]),
            "duration_seconds": pytest.approx(seconds),
            "instance_seconds": pytest.approx(seconds),
        },
    }
    written = sagemaker.client("s3").get_object(Bucket=BUCKET, Key=f"{name}/output/result/result.txt")
    assert written["Body"].read() == b"all of it"


def test_the_task_log_has_each_line_of_the_job_once_and_in_order(run: Run) -> None:
    run.end_of("completes")
    assert job_lines(run.log("completes")) == ["first line", "last line"]


def test_a_failing_script_fails_the_task_with_the_reason_in_its_log(
    run: Run, job_of: Callable[[Run, str], Any]
) -> None:
    assert run.end_of("fails") == "failed"
    job, log = job_of(run, "fails"), run.log("fails")
    assert f"Processing job {job['ProcessingJobName']} ended as Failed." in log
    assert f"FailureReason: {job['FailureReason']}" in log
    assert "ExitMessage: bad input: no column age" in log
    assert re.search(r"Last log lines of algo-1:.*the column age is missing", log, re.DOTALL)


def test_a_failed_task_keeps_the_names_of_its_job_and_outputs(run: Run, job_of: Callable[[Run, str], Any]) -> None:
    run.end_of("fails")
    job = job_of(run, "fails")
    assert run.xcoms("fails") == {
        "job_name": job["ProcessingJobName"],
        "job_arn": job["ProcessingJobArn"],
        "result": f"s3://{BUCKET}/{job['ProcessingJobName']}/output/result",
    }


@pytest.mark.parametrize(
    ("task_id", "reason"),
    [
        ("exceeds_max_wait", r"Processing job \S+ had not ended after 15 s"),
        ("exceeds_execution_timeout", r"AirflowTaskTimeout"),
    ],
)
def test_a_wait_that_is_over_fails_the_task_and_stops_the_job(
    run: Run, task_id: str, reason: str, stopped_job_of: Callable[[Run, str], str]
) -> None:
    assert run.end_of(task_id) == "failed"
    assert stopped_job_of(run, task_id) == "Stopped"
    assert re.search(reason, run.log(task_id))


def utc(moment: Any) -> str:
    """Give a moment as the results have it."""
    return moment.astimezone(timezone.utc).isoformat()


def job_lines(log: str) -> list[str]:
    """Give the script's lines of a task's log."""
    lines = re.findall(r"^\[algo-1\] \S+Z (.*)$", log, re.MULTILINE)
    return [line for line in lines if not line.startswith("[local]")]
