"""A job whose making S3 and IAM interrupt: what passes is borne, what doesn't fails at once."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

import boto3
import pytest

from airflow_sm_processing.exceptions import TransientError, UploadError
from airflow_sm_processing.processing import JobDefinition, ProcessingInput, Session
from airflow_sm_processing.processing.submission import JobCreator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

LOST = "s3:PutObject:drop=before,times=40"
"""More than any client tries by itself."""


@pytest.fixture
def service(sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSageMaker]:
    """The local SageMaker, where `boto3.Session()` leads; without faults afterwards."""
    for name, value in sagemaker.environment().items():
        monkeypatch.setenv(name, value)
    yield sagemaker
    sagemaker.set_faults()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def make(service: LocalSageMaker, tmp_path: Path, slept: list[float]) -> Callable[..., str]:
    """Makes a job that reads a file, and returns its name; pauses end the faults."""
    code = tmp_path / "code.py"
    code.write_text("print('hello')")
    definition = JobDefinition(
        role="SageMakerRole",
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1",
        instance_count=1,
        instance_type="ml.m5.large",
        entrypoint=["python3", "/opt/ml/processing/input/code.py"],
        inputs=(ProcessingInput(source=str(code), destination="/opt/ml/processing/input", input_name="code"),),
    )

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        service.set_faults()

    def made(*, patience: float = 60.0) -> str:
        name = f"interrupted-{uuid.uuid4().hex[:8]}"
        maker = JobCreator(
            definition,
            Session(boto3.Session()),
            upload_key=name,
            max_transient_seconds=patience,
            may_create=lambda: None,
            sleep=sleep,
        )
        return maker.make(name, {}, repeated=False).plan.job_name

    return made


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("fault", [LOST, "s3:PutObject:error=SlowDown,status=503"])
def test_an_upload_that_was_interrupted_begins_again(
    fault: str, service: LocalSageMaker, make: Callable[..., str], slept: list[float]
) -> None:
    service.set_faults(fault)
    name = make()
    job = service.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    assert job["ProcessingJobName"] == name
    assert len(slept) == 1


@pytest.mark.usefixtures("engine")
def test_an_upload_that_is_forbidden_fails_at_once(
    service: LocalSageMaker, make: Callable[..., str], slept: list[float]
) -> None:
    service.set_faults("s3:PutObject:error=AccessDenied,status=403")
    with pytest.raises(UploadError, match="AccessDenied"):
        make()
    assert slept == []


def test_a_lost_connection_before_the_upload_is_borne_too(
    service: LocalSageMaker, make: Callable[..., str], slept: list[float]
) -> None:
    service.set_faults("iam:GetRole:drop=before")
    make()
    assert len(slept) == 1


def test_patience_ends(service: LocalSageMaker, make: Callable[..., str], slept: list[float]) -> None:
    service.set_faults("iam:GetRole:drop=before")
    with pytest.raises(TransientError):
        make(patience=0.0)
    assert slept == []


def test_the_interruption_is_logged_once(
    service: LocalSageMaker, make: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    service.set_faults(LOST)
    with caplog.at_level(logging.WARNING, logger="airflow_sm_processing.processing"):
        make()
    told = [
        record.getMessage() for record in caplog.records if record.name.startswith("airflow_sm_processing.processing")
    ]
    assert ["Retrying for up to 60 s." in message for message in told] == [True]
