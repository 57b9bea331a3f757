"""What a trigger does that ends its task."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.triggers import processing
from airflow_sm_processing.triggers.live_log import NoLog

COMPLETED = {
    "ProcessingJobName": "job",
    "ProcessingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/job",
    "ProcessingJobStatus": "Completed",
    "CreationTime": datetime(2026, 11, 20, 12, tzinfo=timezone.utc),
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    "AppSpecification": {"ImageUri": "image"},
}


def asynchronous(value: Any) -> Any:
    async def give(*_: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return give


@pytest.mark.parametrize(("stored", "counts"), [(None, ["job"]), (RuntimeError("no database"), [])])
def test_a_job_is_counted_where_its_task_ends(monkeypatch: pytest.MonkeyPatch, stored: Any, counts: list[str]):
    counted: list[str] = []
    monkeypatch.setattr(processing, "job_ended", lambda description, **_: counted.append(description.job_name))
    shared: Any = SimpleNamespace(calls=SimpleNamespace(sagemaker=asynchronous(COMPLETED)))
    log: Any = SimpleNamespace(
        report_environment=lambda _: None, finish=asynchronous(value=True), forget_position=asynchronous(None)
    )
    task: Any = SimpleNamespace(dag_id="dag", task_id="task", xcom=asynchronous(None), set_xcom=asynchronous(stored))
    event = asyncio.run(processing.success_event(shared, "job", log, task, JobSecrets({})))
    assert (isinstance(event, TaskSuccessEvent), counted) == (bool(counts), counts)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**COMPLETED, "ProcessingJobName": "another"},
        {**COMPLETED, "ProcessingJobStatus": 7},
        {name: value for name, value in COMPLETED.items() if name != "ProcessingJobArn"},
        {**COMPLETED, "ProcessingInputs": [{}]},
        {**COMPLETED, "ProcessingResources": {"ClusterConfig": 7}},
    ],
)
def test_a_description_that_cannot_be_read_leaves_the_end_to_a_worker(answer: dict[str, Any]):
    shared: Any = SimpleNamespace(calls=SimpleNamespace(sagemaker=asynchronous(answer)))
    assert asyncio.run(processing.success_event(shared, "job", NoLog(), None, JobSecrets({}))) is None
