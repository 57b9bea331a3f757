"""Code in a git repository that wants a login, and a repository of packages, on the local SageMaker."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator
from airflow_sm_processing.exceptions import JobFailedError
from airflow_sm_processing.processing import ScriptProcessor, Session
from airflow_sm_processing.processing.submission import submit
from tests.repositories import GitServer, Repository, git_server
from tests.wheels import make_tiny_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.task_runner import Runner

SECRET = "s3cret of/ours%@"
JOB: dict[str, Any] = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}
MAIN = """\
import json, pathlib
from lib import parts
files = sorted(str(path) for path in pathlib.Path().rglob("*") if path.is_file() and path.suffix != ".pyc")
pathlib.Path("/opt/ml/processing/out/told.json").write_text(json.dumps({"files": files, "part": parts.PART}))
"""
OUTPUTS = [ProcessingOutput("/opt/ml/processing/out", output_name="out")]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "served" / "code")
    repository.commit({"src/main.py": MAIN, "src/lib/parts.py": "PART = 1", "shared/b.py": ""})
    return repository


@pytest.fixture
def server(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    with git_server(tmp_path / "served", tmp_path) as server:
        server.login = ("someone", SECRET)
        monkeypatch.setenv("GIT_SSL_CAINFO", str(server.certificate))
        yield server


@pytest.fixture(autouse=True)
def fresh_masker() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


def source(server: GitServer, **config: str) -> dict[str, Any]:
    login = {"username": "someone", "password": SECRET}
    return {
        "code": "main.py",
        "source_dir": "src",
        "dependencies": ["shared"],
        "git_config": {"repo": f"{server.url}/code/.git", **login, **config},
        "outputs": OUTPUTS,
    }


def told_at(uri: str) -> dict[str, Any]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = boto3.Session().client("s3").get_object(Bucket=bucket, Key=f"{key}/told.json")["Body"].read()
    return dict(json.loads(body))


@pytest.mark.usefixtures("environment")
def test_an_operator_runs_code_of_a_repository_and_tells_nobody_how_it_logged_in(
    server: GitServer, repository: Repository, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    commit = repository.git("rev-parse", "HEAD").strip()
    repository.commit({"src/lib/parts.py": "PART = 2"})
    with DAG("repositories"):
        task = ScriptProcessingOperator(task_id="cloned", poll_interval=0.2, **JOB, **source(server, commit=commit))
    with caplog.at_level(logging.DEBUG):
        ended = runner.run(task)
    assert ended.state == "success", ended.error
    assert told_at(runner.supervisor.xcoms["cloned", -1]["out"]) == {
        "files": ["lib/parts.py", "main.py", "shared/b.py", "sourcedir.tar.gz"],
        "part": 1,
    }
    assert set(server.logins) == {("someone", SECRET)}
    assert not [text for text in server.processes if SECRET in text]
    assert SECRET not in caplog.text
    assert redact(f"by {SECRET}") == "by ***"
    assert f"({commit}) at commit {commit}" in caplog.text


@pytest.mark.usefixtures("environment")
def test_a_refused_login_fails_the_task_and_no_word_of_the_server_shows_it(server: GitServer, runner: Runner) -> None:
    server.login = ("someone", "else")
    server.message = f"no {SECRET}\n".encode()
    with DAG("repositories"):
        task = ScriptProcessingOperator(task_id="cloned", poll_interval=0.2, **JOB, **source(server))
    ended = runner.run(task)
    assert ended.state == "up_for_retry"
    assert f"Can't clone {server.url}/code/.git: git ended with 128" in str(ended.error)
    assert "remote: no ***" in str(ended.error)
    assert SECRET not in repr(ended.error)


@pytest.mark.usefixtures("environment")
def test_a_retry_sends_nothing_of_the_same_commit_and_another_commit_goes_elsewhere(
    server: GitServer, repository: Repository
) -> None:
    session = Session(boto3.Session())
    bucket, client, own = session.default_bucket(), boto3.Session().client("s3"), uuid.uuid4().hex
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    processor = ScriptProcessor(command=["python3"], sagemaker_session=session, **JOB)

    def keys_after_try(number: int) -> list[str]:
        definition = processor.define_script(**source(server, branch="main"), job_name=f"{own}-{number}")
        submit(definition, session, upload_key=own, repeated=number > 1)
        listed = client.list_object_versions(Bucket=bucket, Prefix=f"{own}/input/")["Versions"]
        return sorted(item["Key"].rpartition("/")[2] for item in listed)

    once = ["runproc.sh", "sourcedir.tar.gz"]
    assert keys_after_try(1) == once
    assert keys_after_try(2) == once
    repository.commit({"README": "it isn't sent"})
    assert keys_after_try(3) == once
    repository.commit({"src/lib/parts.py": "PART = 3"})
    assert keys_after_try(4) == sorted(once * 2)


AWS = """\
#!/bin/bash
# Stands in for the AWS CLI: it sets pip up as `aws codeartifact login --tool pip` does, for an index in a folder.
echo "$@" > "$HOME/aws-arguments"
if [[ "$*" == *denied* ]]; then echo "An error occurred (AccessDeniedException)" >&2; exit 254; fi
python3 -m pip config set global.index-url "file:///opt/ml/processing/packages/simple"
"""
PACKAGES = """\
import pathlib, sm_tiny
told = {"size": sm_tiny.SIZE, "aws": (pathlib.Path.home() / "aws-arguments").read_text()}
pathlib.Path("/opt/ml/processing/out/told.json").write_text(__import__("json").dumps(told))
"""
ARN = "arn:aws:codeartifact:us-east-1:123456789012:repository/our-domain/"


@pytest.fixture
def with_packages(tmp_path: Path) -> dict[str, Any]:
    """A job whose image has the stand-in, in a folder of its own on PATH, and an index of one package."""
    (tmp_path / "src" / "bin").mkdir(parents=True)
    (tmp_path / "src" / "main.py").write_text(PACKAGES)
    (tmp_path / "src" / "bin" / "aws").write_text(AWS)
    (tmp_path / "src" / "bin" / "aws").chmod(0o755)
    index = tmp_path / "packages" / "simple" / "sm-tiny"
    index.mkdir(parents=True)
    wheel = make_tiny_wheel(index)
    (index / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return {
        "code": "main.py",
        "source_dir": str(tmp_path / "src"),
        "requirements": ["sm-tiny==1.0"],
        "inputs": [ProcessingInput(str(tmp_path / "packages"), "/opt/ml/processing/packages")],
        "outputs": OUTPUTS,
    }


def packages_processor(*, with_aws: bool = True) -> ScriptProcessor:
    code = "/opt/ml/processing/input/code"
    path = f"{code}/bin:/usr/local/bin:/usr/bin:/bin" if with_aws else "/usr/local/bin:/usr/bin:/bin"
    return ScriptProcessor(command=["python3"], env={"HOME": code, "PATH": path}, **JOB)


@pytest.mark.usefixtures("environment")
def test_pip_installs_from_the_repository_of_packages_that_aws_logged_in_to(with_packages: dict[str, Any]) -> None:
    job = packages_processor().run(**with_packages, codeartifact_repo_arn=f"{ARN}ours")
    assert told_at(job.output_uris["out"]) == {
        "size": "tiny",
        "aws": "codeartifact login --tool pip --domain our-domain --domain-owner 123456789012 --repository ours "
        "--region us-east-1\n",
    }


@pytest.mark.usefixtures("environment")
def test_a_login_that_fails_fails_the_job_with_what_aws_said(with_packages: dict[str, Any]) -> None:
    with pytest.raises(JobFailedError) as raised:
        packages_processor().run(**with_packages, codeartifact_repo_arn=f"{ARN}denied")
    assert raised.value.exit_message == (
        "aws could not log in to CodeArtifact (exit code 254):\nAn error occurred (AccessDeniedException)\n"
    )
