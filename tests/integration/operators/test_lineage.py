"""What OpenLineage's own provider emits of a task."""

from __future__ import annotations

import json
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from tests.dag_runs import Run

TASKS = {"waits", "defers", "fails", "fails_deferred"}
DEFINITION = {
    "imageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instanceType": "ml.m5.xlarge",
    "instanceCount": 1,
}


@pytest.fixture(scope="module")
def emitted(
    run_dag: Callable[..., Run], sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """A run's events, by task id, from the file that the provider writes."""
    s3 = sagemaker.client("s3")
    for bucket in ("lineage-raw", "lineage-reports", "lineage-files"):
        s3.create_bucket(Bucket=bucket)
    for key in ("rows/lineage/1.csv", "rows/lineage/2.csv"):
        s3.put_object(Bucket="lineage-raw", Key=key, Body=b"12345")
    events = tmp_path_factory.mktemp("lineage") / "events.json"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    lineage = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "here",
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "60",
    }
    run_dag("lineage", **lineage)
    return by_task(events)


def by_task(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        found.setdefault(event["job"]["name"].removeprefix("lineage."), []).append(event)
    return found


def plain(value: Any) -> Any:
    """Return a part of an event without what OpenLineage itself puts into each facet."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in {"_producer", "_schemaURL"}}
    return [plain(item) for item in value] if isinstance(value, list) else value


def data(event: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(event[name]) for name in ("eventType", "inputs", "outputs")}


def job_facets(event: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(event["job"]["facets"].get(name)) for name in ("sagemakerProcessing", "sourceCodeLocation")}


def run_facets(event: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(event["run"]["facets"].get(name)) for name in ("sagemakerProcessingJob", "externalQuery")}


def dataset(uri: str, *, read: tuple[int, int] | None = None, written: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a dataset as an event has it: with bytes and objects if it was measured."""
    bucket, _, name = uri.removeprefix("s3://").partition("/")
    found: dict[str, Any] = {"namespace": f"s3://{bucket}", "name": name, "facets": {}}
    if read is not None:
        found["inputFacets"] = {"inputStatistics": {"size": read[0], "fileCount": read[1]}}
    if written is not None:
        found["outputFacets"] = {"outputStatistics": {"size": written[0], "fileCount": written[1]}}
    return found


@pytest.fixture(scope="module")
def jobs(emitted: dict[str, list[dict[str, Any]]], sagemaker: LocalSageMaker) -> dict[str, dict[str, Any]]:
    """Each task's job, as SageMaker describes it."""
    names = {
        task: run_facets(events[-1])["sagemakerProcessingJob"]["jobName"]
        for task, events in emitted.items()
        if task in TASKS
    }
    client = sagemaker.client("sagemaker")
    return {task: client.describe_processing_job(ProcessingJobName=name) for task, name in names.items()}


@pytest.mark.parametrize(
    ("task", "types"),
    [
        ("waits", ["START", "COMPLETE"]),
        ("defers", ["START", "START", "COMPLETE"]),  # the provider repeats it when the task resumes
        ("fails", ["START", "FAIL"]),
        ("fails_deferred", ["START", "START", "FAIL"]),
    ],
)
def test_each_task_has_a_beginning_and_an_end(
    task: str, types: list[str], emitted: dict[str, list[dict[str, Any]]]
) -> None:
    assert [event["eventType"] for event in emitted[task]] == types
    assert len({event["run"]["runId"] for event in emitted[task]}) == 1


@pytest.mark.parametrize("task", ["waits", "defers"])
def test_the_beginning_tells_what_the_task_itself_names(task: str, emitted: dict[str, list[dict[str, Any]]]) -> None:
    for event in emitted[task][:-1]:
        assert data(event) == {
            "eventType": "START",
            "inputs": [dataset("s3://lineage-raw/rows/lineage")],
            "outputs": [dataset("s3://lineage-reports/e")],
        }
        assert job_facets(event) == {"sagemakerProcessing": DEFINITION, "sourceCodeLocation": None}


@pytest.mark.parametrize("task", ["waits", "defers"])
def test_the_end_tells_what_the_job_read_and_wrote_local_files_where_they_were_uploaded(
    task: str, emitted: dict[str, list[dict[str, Any]]], jobs: dict[str, dict[str, Any]]
) -> None:
    inputs = {item["InputName"]: item["S3Input"]["S3Uri"] for item in jobs[task]["ProcessingInputs"]}
    outputs = {
        item["OutputName"]: item["S3Output"]["S3Uri"] for item in jobs[task]["ProcessingOutputConfig"]["Outputs"]
    }
    scripts = [file.stat().st_size for file in (Path(__file__).parent / "dags/scripts").rglob("*") if file.is_file()]
    assert inputs["local"].startswith("s3://lineage-files/")
    assert data(emitted[task][-1]) == {
        "eventType": "COMPLETE",
        "inputs": [
            dataset("s3://lineage-raw/rows/lineage", read=(10, 2)),
            dataset(inputs["local"].removesuffix("/"), read=(sum(scripts), len(scripts))),
        ],
        "outputs": [
            dataset("s3://lineage-reports/e", written=(75, 3)),
            dataset(outputs["other"], written=(0, 0)),
        ],
    }
    assert job_facets(emitted[task][-1]) == {
        "sagemakerProcessing": DEFINITION,
        "sourceCodeLocation": {"type": "s3", "url": inputs["code"]},
    }


@pytest.mark.parametrize("task", ["fails", "fails_deferred"])
def test_a_failure_tells_what_the_job_read_and_a_bucket_is_called_by_a_slash(
    task: str, emitted: dict[str, list[dict[str, Any]]]
) -> None:
    assert data(emitted[task][-1]) == {
        "eventType": "FAIL",
        "inputs": [dataset("s3://lineage-raw//", read=(10, 2))],
        "outputs": [],
    }


@pytest.mark.parametrize("task", ["waits", "defers", "fails", "fails_deferred"])
def test_the_end_has_the_job(
    task: str, emitted: dict[str, list[dict[str, Any]]], jobs: dict[str, dict[str, Any]]
) -> None:
    job = jobs[task]
    started, ended = (job[name].astimezone(timezone.utc) for name in ("ProcessingStartTime", "ProcessingEndTime"))
    facet = {
        "jobName": job["ProcessingJobName"],
        "jobArn": job["ProcessingJobArn"],
        "status": job["ProcessingJobStatus"],
        "startedAt": started.isoformat(),
        "endedAt": ended.isoformat(),
        "durationSeconds": (ended - started).total_seconds(),
        "instanceSeconds": (ended - started).total_seconds(),
    }
    reason = {"failureReason": job["FailureReason"]} if "FailureReason" in job else {}
    assert run_facets(emitted[task][-1]) == {
        "sagemakerProcessingJob": facet | reason,
        "externalQuery": {"externalQueryId": job["ProcessingJobArn"], "source": "sagemaker"},
    }
