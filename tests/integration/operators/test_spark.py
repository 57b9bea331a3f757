"""Spark applications as tasks on the local SageMaker, with or without pyspark: what is sent, and how the task ends."""

from __future__ import annotations

import importlib.util
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_processing import SparkProcessingOperator
from airflow_sm_processing.processing import PySparkProcessor, Session
from airflow_sm_processing.processing.submission import submit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.task_runner import Runner

JOB: dict[str, Any] = {
    "role": "SageMakerRole",
    "image_uri": "spark",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}
CONFIGURATION = {"Classification": "spark-defaults", "Properties": {"spark.ui.enabled": "false"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("app.py", "lib/a.py", "lib/b.py", "one.jar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# {name}")
    return tmp_path


def application(folder: Path) -> dict[str, Any]:
    return {
        "submit_app": str(folder / "app.py"),
        "submit_py_files": [str(folder / "lib" / name) for name in ("a.py", "b.py")],
        "submit_jars": [str(folder / "one.jar")],
        "configuration": CONFIGURATION,
    }


@pytest.mark.usefixtures("environment")
@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="pyspark is installed")
def test_a_task_without_pyspark_fails_with_the_way_out(folder: Path, runner: Runner) -> None:
    with DAG("spark"):
        task = SparkProcessingOperator(task_id="app", poll_interval=0.2, **application(folder), **JOB)
    ended = runner.run(task)
    assert ended.state != "success"
    assert "pip install 'airflow-sm-processing[spark]'" in str(ended.error)


@pytest.mark.usefixtures("environment")
def test_a_retry_sends_nothing_and_another_content_goes_elsewhere(folder: Path) -> None:
    session = Session(boto3.Session())
    bucket = session.default_bucket()
    client = boto3.Session().client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    processor = PySparkProcessor(sagemaker_session=session, **JOB)

    def files_after_try(number: int, **changes: Any) -> list[str]:
        given = application(folder) | changes
        definition = processor.define_application(given.pop("submit_app"), **given, job_name=f"s-{uuid.uuid4().hex}")
        submit(definition, session, upload_key=folder.name, repeated=number > 1)
        listed = client.list_object_versions(Bucket=bucket, Prefix=f"{folder.name}/input/")["Versions"]
        return sorted(item["Key"].rpartition("/")[2] for item in listed)

    once = ["a.py", "app.py", "b.py", "configuration.json", "one.jar"]
    assert files_after_try(1) == once
    (folder / "one.jar").touch()
    assert files_after_try(2) == once
    (folder / "one.jar").write_text("2")
    assert files_after_try(3) == sorted([*once, "one.jar"])
    changed = {"Classification": "spark-defaults", "Properties": {}}
    assert files_after_try(4, configuration=changed) == sorted([*once, "configuration.json", "one.jar"])
