"""Waiting in a worker and waiting in a trigger: the same result, the same errors, the same log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from tests.dag_runs import Run

BUCKET = "s3://sagemaker-us-east-1-123456789012"
_JOB_LINES = re.compile(r"\[algo-\d+\] (.*?)(?: +\[airflow.*)?$", re.MULTILINE)


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run]) -> Run:
    return run_dag("modes")


def test_each_task_ends_as_its_job_and_its_parameters_say(finished: Run):
    assert finished.states == {
        "succeed_wait": "success",
        "succeed_defer": "success",
        "chained_wait": "success",
        "chained_defer": "success",
        "mapped[0]": "success",
        "mapped[1]": "success",
        "submit": "success",
        "fail_wait": "failed",
        "fail_defer": "failed",
        "max_wait_wait": "failed",
        "max_wait_defer": "failed",
        "stopped_wait": "failed",
        "stopped_defer": "failed",
        "stopped_skip": "skipped",
        "stopped_succeed": "success",
    }


@pytest.mark.parametrize("task", ["succeed", "chained"])
def test_both_modes_leave_the_same_xcoms(finished: Run, task: str):
    waited, deferred = (normalised(finished.xcoms[f"{task}_{mode}"]) for mode in ("wait", "defer"))
    assert waited == deferred
    assert {key: value for key, value in waited.items() if not key.startswith("_")} == {
        "job_name": "JOB",
        "job_arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/JOB",
        "result": f"{BUCKET}/JOB/output/result",
        "return_value": {
            "job_name": "JOB",
            "job_arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/JOB",
            "status": "Completed",
            "outputs": {"result": f"{BUCKET}/JOB/output/result"},
            "exit_message": None,
            "failure_reason": None,
            "started_at": "TIME",
            "ended_at": "TIME",
            "duration_seconds": "SECONDS",
            "instance_seconds": "SECONDS",
        },
    }


@pytest.mark.parametrize("task", ["fail", "max_wait", "stopped"])
def test_a_failed_task_keeps_what_was_known_at_submission(finished: Run, task: str):
    for mode in ("wait", "defer"):
        assert finished.xcoms[f"{task}_{mode}"].keys() >= {"job_name", "job_arn"}
        assert "return_value" not in finished.xcoms[f"{task}_{mode}"]


def test_a_task_that_does_not_wait_gives_the_outputs_to_be(finished: Run):
    result = normalised(finished.xcoms["submit"])["return_value"]
    assert (result["status"], result["outputs"]) == ("InProgress", {"result": f"{BUCKET}/JOB/output/result"})


def test_a_stopped_job_that_counts_as_success_says_so(finished: Run):
    assert finished.xcoms["stopped_succeed"]["return_value"]["status"] == "Stopped"


def test_both_modes_show_the_jobs_log_once_and_in_order(finished: Run):
    for mode in ("wait", "defer"):
        lines = [line for line in job_lines(finished.logs[f"succeed_{mode}"]) if not line.startswith("[local]")]
        assert lines == ["line 0", "line 1", "line 2"]


def test_both_modes_fail_with_the_same_error(finished: Run):
    waited, deferred = (error_of(finished.logs[f"fail_{mode}"], "JobFailedError") for mode in ("wait", "defer"))
    assert waited == deferred
    for part in ("ended as Failed", "exit code: 3", "ExitMessage: the data is too old", "about to fail"):
        assert part in waited
    waited, deferred = (error_of(finished.logs[f"stopped_{mode}"], "JobStoppedError") for mode in ("wait", "defer"))
    assert without_lines(waited) == without_lines(deferred)
    assert (
        error_of(finished.logs["max_wait_wait"], "WaitTimeoutError")
        == error_of(finished.logs["max_wait_defer"], "WaitTimeoutError")
        == "Processing job JOB had not ended after 5 s.\n"
    )


@pytest.mark.parametrize("task", ["max_wait_wait", "max_wait_defer"])
def test_a_job_that_nobody_waits_for_any_more_is_stopped(finished: Run, sagemaker: LocalSageMaker, task: str):
    job = finished.xcoms[task]["job_name"]
    status = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job)["ProcessingJobStatus"]
    assert status in {"Stopping", "Stopped"}


def test_a_mapped_task_reads_what_its_references_resolve_to(finished: Run, sagemaker: LocalSageMaker):
    for index, upstream in enumerate(("succeed_defer", "succeed_wait")):
        job = finished.xcoms[f"mapped[{index}]"]["job_name"]
        request = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job)
        assert request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"{finished.xcoms[upstream]['result']}/"


def test_what_a_job_read_and_wrote_and_its_last_lines_are_recorded(finished: Run):
    for mode in ("wait", "defer"):
        details = normalised(finished.xcoms[f"chained_{mode}"]["_job_details"])
        inputs = {item["name"]: (item["bytes"], item["objects"], item["complete"]) for item in details["inputs"]}
        code = Path(__file__).parent.joinpath("dags", "scripts", "behave.py").stat().st_size
        assert inputs == {"input-1": (len("a result"), 1, True), "code": (code, 1, True)}
        assert details["outputs"] == [
            {
                "name": "result",
                "uri": f"{BUCKET}/JOB/output/result",
                "container_path": "/opt/ml/processing/output",
                "link": None,
                "bytes": len("a result"),
                "objects": 1,
                "complete": True,
            }
        ]
        (tail,) = details["log_tail"]
        assert (tail["host"], tail["lines"][-3:]) == ("algo-1", ["line 0", "line 1", "line 2"])


def test_the_record_of_a_job_that_did_not_complete_says_why(finished: Run):
    found = {task: finished.xcoms[task]["_job"] for task in ("fail_wait", "fail_defer", "stopped_defer", "submit")}
    assert {task: (record["status"], record["exit_message"], record["awaited"]) for task, record in found.items()} == {
        "fail_wait": ("Failed", "the data is too old", True),
        "fail_defer": ("Failed", "the data is too old", True),
        "stopped_defer": ("Stopped", None, True),
        "submit": ("InProgress", None, False),
    }
    assert finished.xcoms["fail_defer"]["_job_details"]["log_tail"][0]["lines"][-1] == "about to fail"


@pytest.mark.parametrize("task", ["max_wait_wait", "max_wait_defer"])
def test_a_job_whose_time_was_over_is_recorded_as_it_was_left(finished: Run, task: str):
    record, details = finished.xcoms[task]["_job"], finished.xcoms[task]["_job_details"]
    assert record["status"] in {"Stopping", "Stopped"}
    assert details["log_tail"][0]["lines"][-1] == "sleeping"


def normalised(value: Any) -> Any:
    """Return the value without what differs from job to job: names, times, durations."""
    if isinstance(value, dict):
        return {key: normalised_field(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [normalised(item) for item in value]
    return re.sub(r"modes-[a-z-]+-[0-9a-f]{12}(-\d+)?", "JOB", value) if isinstance(value, str) else value


def normalised_field(key: str, value: Any) -> Any:
    if key in {"submitted_at", "created_at", "started_at", "ended_at"} and re.fullmatch(
        r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", str(value)
    ):
        return "TIME"
    if key in {"duration_seconds", "instance_seconds"} and isinstance(value, float):
        return "SECONDS"
    return normalised(value)


def job_lines(log: str) -> list[str]:
    return _JOB_LINES.findall(log)


def error_of(log: str, name: str) -> str:
    """Return an error's text as the log shows it, up to the end of its traceback."""
    match = re.search(rf"{name}: (.*?)\n(?=\d{{4}}-|\Z)", log, re.DOTALL)
    assert match, log
    return normalised(match[1] + "\n")


def without_lines(error: str) -> str:
    """Return an error's text without the job's last lines: a job that is stopped soon may not have written any."""
    return re.sub(r"^  Last log lines of \S+:\n(?:    .*\n)*", "", error, flags=re.MULTILINE)
