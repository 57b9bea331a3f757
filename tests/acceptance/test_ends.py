"""How a task ends when its job ends: the same with the wait in a worker and deferred, whoever ends it."""

from __future__ import annotations

import re
from datetime import timezone
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.xcoms import DETAILS_KEY, RECORD_KEY

from .conftest import ENDS_DAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airflow_sm_processing.local import LocalSageMaker

    from .runs import Run

BUCKET = "sagemaker-us-east-1-123456789012"


@pytest.fixture(params=ENDS_DAGS)
def run(request: pytest.FixtureRequest, ends: dict[str, Run]) -> Run:
    """The run whose tasks wait in this mode."""
    return ends[request.param]


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
    assert users_xcoms(run, "completes") == {
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
    lines = run.job_lines("completes")
    assert [(line.host, line.text) for line in lines] == [("algo-1", "first line"), ("algo-1", "last line")]


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
    assert users_xcoms(run, "fails") == {
        "job_name": job["ProcessingJobName"],
        "job_arn": job["ProcessingJobArn"],
        "result": f"s3://{BUCKET}/{job['ProcessingJobName']}/output/result",
    }


def users_xcoms(run: Run, task_id: str) -> dict[str, Any]:
    """Return the task's XComs but those that Airflow's pages are made of."""
    return {key: value for key, value in run.xcoms(task_id).items() if key not in {RECORD_KEY, DETAILS_KEY}}


@pytest.mark.parametrize(("task_id", "status"), [("completes", "Completed"), ("fails", "Failed")])
def test_the_end_is_recorded_for_airflows_pages_in_every_mode(run: Run, task_id: str, status: str) -> None:
    run.end_of(task_id)
    record = run.xcoms(task_id)[RECORD_KEY]
    assert (record["status"], record["ended_at"] is not None, record["try_number"]) == (status, True, 1)


def utc(moment: Any) -> str:
    """Return a moment as the results have it."""
    return moment.astimezone(timezone.utc).isoformat()
