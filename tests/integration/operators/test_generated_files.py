"""Settings as a JSON input, and arguments that no request can hold: rendered, uploaded and read by the job."""

from __future__ import annotations

import json
import sys
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


ECHO = """\
import json, pathlib, sys

pathlib.Path("/opt/ml/processing/out/read.json").write_text(json.dumps(sys.argv[1:]))
"""


def make_task(script: Path, text: str, **parameters: Any) -> ScriptProcessingOperator:
    script.write_text(text)
    with DAG("settings", params={"table": "sales"}):
        return ScriptProcessingOperator(
            task_id="read",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
            instance_count=1,
            instance_type="ml.m5.xlarge",
            code=str(script),
            command=[sys.executable],
            outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
            poll_interval=0.2,
            **parameters,
        )


def written(runner: Runner, name: str) -> str:
    bucket, _, prefix = runner.supervisor.xcoms["read", -1]["out"].removeprefix("s3://").partition("/")
    body = boto3.Session().client("s3").get_object(Bucket=bucket, Key=f"{prefix}/{name}")["Body"].read()
    return str(body.decode())


@pytest.mark.usefixtures("environment")
def test_a_job_reads_its_settings(tmp_path: Path, runner: Runner):
    settings = ProcessingInput.from_json(DATA, "/opt/ml/processing/settings", file_name="settings.json")
    ended = runner.run(make_task(tmp_path / "read.py", SCRIPT, inputs=[settings]))
    assert ended.state == "success", ended.error
    assert written(runner, "name") == "settings.json"
    read = json.loads(written(runner, "read.json"))
    assert read["day"] not in {"", "{{ ds }}"}
    assert {**read, "day": ""} == {
        "day": "",
        "version": "1.10",
        "source": {"rate": 0.1, "tables": ["sales", "b"]},
        "none": None,
    }


@pytest.mark.usefixtures("environment")
def test_a_script_gets_arguments_that_no_request_can_hold(tmp_path: Path, runner: Runner):
    arguments = ["{{ params.table }}", "it's `a` $HOME " + "x" * 1000, *(str(number) for number in range(200))]
    ended = runner.run(make_task(tmp_path / "echo.py", ECHO, arguments=arguments))
    assert ended.state == "success", ended.error
    assert json.loads(written(runner, "read.json")) == ["sales", *arguments[1:]]
