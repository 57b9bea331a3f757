"""What the SageMaker SDK v2's own classes send runs on the local SageMaker as it is."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import LocalSageMaker
from tests.time_limits import HANGS_AFTER_SECONDS

from .sdk_environment import sdk_python

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).with_name("sdk_jobs.py")


@pytest.fixture(scope="module")
def sagemaker() -> Iterator[LocalSageMaker]:
    with LocalSageMaker() as server:
        yield server


@pytest.fixture(scope="module")
def ran(sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What came of each class's job, and what the SDK printed."""
    folder = tmp_path_factory.mktemp("sdk")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}
    run = subprocess.run(
        [sdk_python(), PROGRAM, folder],
        env=environment | sagemaker.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_SECONDS,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1]), run.stdout


def content(sagemaker: LocalSageMaker, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = sagemaker.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


@pytest.mark.parametrize(
    ("name", "model"), [("SKLearn", "model 6.0"), ("PyTorch", "model 6.0"), ("Estimator", "1 2 3")]
)
def test_an_estimator_fits(sagemaker: LocalSageMaker, ran: Any, name: str, model: str) -> None:
    found, _ = ran
    assert found[name]["job"]["TrainingJobStatus"] == "Completed"
    with tarfile.open(fileobj=io.BytesIO(content(sagemaker, found[name]["model"])), mode="r:gz") as archive:
        packed = archive.extractfile("model.txt")
        assert packed is not None
        assert packed.read().decode() == model


def test_an_estimator_shows_the_log_and_the_metrics(ran: Any) -> None:
    found, printed = ran
    (metric,) = found["SKLearn"]["job"]["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("rows", 3.0)
    for said in ("rows=3;", "Training image download completed", "Training seconds:", "Billable seconds:"):
        assert said in printed


@pytest.mark.parametrize("name", ["Processor", "ScriptProcessor", "FrameworkProcessor"])
def test_a_processor_runs(sagemaker: LocalSageMaker, ran: Any, name: str) -> None:
    found, _ = ran
    assert found[name]["job"]["ProcessingJobStatus"] == "Completed"
    assert content(sagemaker, f"{found[name]['output']}/said").decode() == f"{name} b"
