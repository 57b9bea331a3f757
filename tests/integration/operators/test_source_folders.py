"""Source folders on the local SageMaker: unpacked, with their requirements, by an operator and by a processor."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator
from airflow_sm_processing.exceptions import JobFailedError
from airflow_sm_processing.processing import ScriptProcessor, Session
from airflow_sm_processing.processing.submission import submit
from tests.wheels import make_tiny_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.task_runner import Runner

WHEELS = "/opt/ml/processing/wheels"
TELL = """\
import json, os, pathlib, sys
import sm_tiny
from lib.parts import part
from shared import common

pathlib.Path("/opt/ml/processing/out/told.json").write_text(json.dumps({
    "files": sorted(str(path) for path in pathlib.Path().rglob("*") if path.is_file() and path.suffix != ".pyc"),
    "arguments": sys.argv[1:], "size": sm_tiny.SIZE, "part": part, "common": common.__name__,
    "executable": os.access("tool.sh", os.X_OK),
}))
"""
JOB: dict[str, Any] = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "env": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS},
}
OUTPUTS = [ProcessingOutput("/opt/ml/processing/out", output_name="out")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source folder, a dependency beside it, and a wheel; the working folder is the one they are in."""
    files = {
        "src/pre process.py": TELL,
        "src/lib/parts.py": "part = 'a part'",
        "src/requirements.txt": "sm-tiny==1.0\n",
        "src/data.csv": "1",
        "src/.env": "SECRET=1",
        "src/.git/config": "",
        "src/.sagemakerignore": "*.csv\n",
        "src/tool.sh": "#!/bin/sh\n",
        "common/shared/common.py": "",
        "common/shared/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "src/tool.sh").chmod(0o755)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_tiny_wheel(wheels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source(folder: Path, **changes: Any) -> dict[str, Any]:
    given = {
        "code": "pre process.py",
        "source_dir": str(folder / "src"),
        "dependencies": [str(folder / "common" / "shared")],
        "requirements": str(folder / "src" / "requirements.txt"),
        "inputs": [ProcessingInput(str(folder / "wheels"), WHEELS)],
        "outputs": OUTPUTS,
        "arguments": ["--name", "it's a $test", "*"],
    }
    return given | changes


def told_at(uri: str) -> dict[str, Any]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = boto3.Session().client("s3").get_object(Bucket=bucket, Key=f"{key}/told.json")["Body"].read()
    return dict(json.loads(body))


TOLD = {
    "files": [
        "lib/parts.py",
        "pre process.py",
        "requirements.txt",
        "shared/__init__.py",
        "shared/common.py",
        "sourcedir.tar.gz",
        "tool.sh",
    ],
    "arguments": ["--name", "it's a $test", "*"],
    "size": "tiny",
    "part": "a part",
    "common": "shared.common",
    "executable": True,
}


def make_task(**parameters: Any) -> ScriptProcessingOperator:
    with DAG("sources"):
        return ScriptProcessingOperator(task_id="packed", poll_interval=0.2, mask_env=False, **JOB, **parameters)


@pytest.mark.usefixtures("environment")
def test_an_operator_runs_a_source_folder_with_requirements(folder: Path, runner: Runner):
    ended = runner.run(make_task(**source(folder)))
    assert ended.state == "success", ended.error
    assert told_at(runner.supervisor.xcoms["packed", -1]["out"]) == TOLD


@pytest.mark.usefixtures("environment")
def test_a_processor_runs_a_source_folder_with_requirements(folder: Path):
    processor = ScriptProcessor(command=["python3"], **JOB)
    job = processor.run(
        **source(folder, requirements=["sm-tiny==1.0"], source_dir="src", dependencies=["common/shared"])
    )
    assert told_at(job.output_uris["out"]) == TOLD


@pytest.mark.usefixtures("environment")
def test_a_failed_install_fails_the_job_with_what_pip_said(folder: Path):
    processor = ScriptProcessor(command=["python3"], **JOB)
    with pytest.raises(JobFailedError) as raised:
        processor.run(**source(folder, requirements=["sm-tiny==2"]))
    message = raised.value.exit_message or ""
    assert message.startswith("pip could not install the requirements (exit code 1):\n")
    assert "ERROR: No matching distribution found for sm-tiny==2" in message
    assert len(message.encode()) <= 1024


@pytest.mark.usefixtures("environment")
def test_a_source_folder_may_be_an_archive_or_a_prefix_in_s3(folder: Path):
    processor = ScriptProcessor(command=["python3"], **JOB)
    first = processor.run(**source(folder))
    uri = next(item.s3_input.s3_uri for item in first.inputs if item.input_name == "code")
    in_s3 = source(folder, source_dir=uri, dependencies=None, requirements=["sm-tiny==1.0"])
    assert told_at(processor.run(**in_s3).output_uris["out"]) == TOLD

    client, bucket = boto3.Session().client("s3"), uri.removeprefix("s3://").partition("/")[0]
    for path in (folder / "src").rglob("*.py"):
        client.upload_file(str(path), bucket, f"unpacked/src/{path.relative_to(folder / 'src')}")
    for path in (folder / "common").rglob("*.py"):
        client.upload_file(str(path), bucket, f"unpacked/src/{path.relative_to(folder / 'common')}")
    prefix = in_s3 | {"source_dir": f"s3://{bucket}/unpacked/src"}
    told = told_at(processor.run(**prefix).output_uris["out"])
    assert told["files"] == ["lib/parts.py", "pre process.py", "shared/__init__.py", "shared/common.py"]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("code", ["one.py", "s3"])
def test_requirements_go_with_a_script_alone(folder: Path, code: str):
    script = folder / "one.py"
    script.write_text("import sm_tiny\nopen('/opt/ml/processing/out/told.json', 'w').write('{\"size\": \"tiny\"}')\n")
    processor = ScriptProcessor(command=["python3"], **JOB)
    given: dict[str, Any] = source(folder, code=str(script), source_dir=None, dependencies=None)
    if code == "s3":
        client, bucket = boto3.Session().client("s3"), processor.sagemaker_session.default_bucket()
        client.upload_file(str(script), bucket, "scripts/one.py")
        given["code"] = f"s3://{bucket}/scripts/one.py"
    job = processor.run(**given | {"requirements": ["sm-tiny"]})
    assert told_at(job.output_uris["out"]) == {"size": "tiny"}


@pytest.mark.usefixtures("environment")
def test_a_retry_sends_nothing_and_another_content_goes_elsewhere(folder: Path):
    session = Session(boto3.Session())
    bucket = session.default_bucket()
    client = boto3.Session().client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    processor = ScriptProcessor(command=["python3"], sagemaker_session=session, **JOB)

    def keys_after_try(number: int) -> list[str]:
        definition = processor.define_script(**source(folder, job_name=f"packed-{uuid.uuid4().hex}"))
        submit(definition, session, upload_key=folder.name, repeated=number > 1)
        listed = client.list_object_versions(Bucket=bucket, Prefix=f"{folder.name}/input/")["Versions"]
        return sorted(item["Key"].rpartition("/")[2] for item in listed if "/source/" in item["Key"])

    once = ["runproc.sh", "sourcedir.tar.gz"]
    assert keys_after_try(1) == once
    (folder / "src" / "lib" / "parts.py").touch()
    assert keys_after_try(2) == once
    (folder / "src" / "data.csv").write_text("it isn't sent")
    assert keys_after_try(3) == once
    (folder / "src" / "tool.sh").chmod(0o644)
    assert keys_after_try(4) == sorted(once * 2)
