"""Tasks and triggers of this process on the local SageMaker."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import blockbuster_ctx

from airflow_sm_processing import ProcessingOperator
from airflow_sm_processing.hooks.connection import AwsConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob


@pytest.fixture(autouse=True)
def blocking_calls_fail(environment: None) -> Iterator[None]:
    """Nothing may block a running event loop, the triggerer's least of all."""
    with blockbuster_ctx():
        yield


@pytest.fixture(autouse=True)
def jobs_are_stopped(environment: None, sagemaker: LocalSageMaker) -> Iterator[None]:
    """No job outlives its test, for the jobs of others would wait for its place on the server."""
    yield
    sagemaker.set_faults()
    client = sagemaker.client("sagemaker")
    for job in client.list_processing_jobs(StatusEquals="InProgress", MaxResults=100)["ProcessingJobSummaries"]:
        with suppress(client.exceptions.ClientError):  # it has just ended
            client.stop_processing_job(ProcessingJobName=job["ProcessingJobName"])


@pytest.fixture
def hook() -> ProcessingHook:
    return AwsConnection().hook()


@pytest.fixture
def common() -> dict[str, Any]:
    """The parameters that every task needs."""
    return {
        "role": "SageMakerRole",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        "instance_count": 1,
        "instance_type": "ml.m5.xlarge",
        "entrypoint": [sys.executable, "-c"],
        "poll_interval": 0.2,
    }


@pytest.fixture
def task_factory(dag: DAG, common: dict[str, Any]) -> Callable[..., ProcessingOperator]:
    """Makes tasks whose job runs a line of Python."""

    def make(line: str, **parameters: Any) -> ProcessingOperator:
        return ProcessingOperator(**{"task_id": "task", "arguments": [line], **common, **parameters})

    return make


@pytest.fixture
def job_factory(hook: ProcessingHook, common: dict[str, Any]) -> Callable[..., ProcessingJob]:
    """Starts jobs that run a line of Python."""
    fields = {name: value for name, value in common.items() if name != "poll_interval"}

    def start(line: str, **changes: Any) -> ProcessingJob:
        processor = hook.processor(**{**fields, **changes})
        return processor.run(arguments=[line], wait=False, logs=False)

    return start
