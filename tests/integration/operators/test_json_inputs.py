"""Settings as a JSON input: templated, resolved, uploaded once and read by the job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.task_runner import Runner

SCRIPT = """\
import pathlib, shutil

[file] = pathlib.Path("/opt/ml/processing/settings").iterdir()
shutil.copy(file, "/opt/ml/processing/out/read.json")
pathlib.Path("/opt/ml/processing/out/name").write_text(file.name)
"""
DATA: dict[str, Any] = {
    "day": "{{ ds }}",
    "version": "1.10",
    "source": {"rate": 0.1, "tables": ["{{ params.table }}", "b"]},
    "none": None,
}


@pytest.mark.usefixtures("environment")
def test_a_job_reads_its_settings(tmp_path: Path, runner: Runner):
    script = tmp_path / "read.py"
    script.write_text(SCRIPT)
    with DAG("settings", params={"table": "sales"}):
        task = ScriptProcessingOperator(
            task_id="read",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
            instance_count=1,
            instance_type="ml.m5.xlarge",
            code=str(script),
            inputs=[ProcessingInput.from_json(DATA, "/opt/ml/processing/settings", file_name="settings.json")],
            outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            poll_interval=0.2,
        )
    ended = runner.run(task)
    assert ended.state == "success", ended.error
    bucket, _, prefix = runner.supervisor.xcoms["read", -1]["out"].removeprefix("s3://").partition("/")
    client = boto3.Session().client("s3")

    def body(name: str) -> str:
        return client.get_object(Bucket=bucket, Key=f"{prefix}/{name}")["Body"].read().decode()

    assert body("name") == "settings.json"
    read = json.loads(body("read.json"))
    assert read["day"] not in {"", "{{ ds }}"}
    assert {**read, "day": ""} == {
        "day": "",
        "version": "1.10",
        "source": {"rate": 0.1, "tables": ["sales", "b"]},
        "none": None,
    }
