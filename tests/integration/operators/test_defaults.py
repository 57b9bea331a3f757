"""The defaults that a task's job gets from Airflow's option and from the task's connection."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason

from airflow_sm_processing import ScriptProcessingOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

WORD = "open-sesame"
BUCKET = "settings"
SCRIPT = "import os; print('the word is', os.environ['WORD'])"
FILE = (
    f"SageMaker: {{ProcessingJob: {{RoleArn: 'arn:aws:iam::123456789012:role/Admin', Environment: {{WORD: {WORD}}}}}}}"
)


@pytest.fixture
def task(dag: DAG, tmp_path: Path, environment: None, sagemaker: LocalSageMaker) -> ScriptProcessingOperator:
    """A task without a role or an environment, and defaults in S3 that have both."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    s3 = sagemaker.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="team/config.yaml", Body=FILE.encode())
    return ScriptProcessingOperator(
        task_id="task",
        dag=dag,
        image_uri="python",
        command=["python3"],
        instance_count=1,
        instance_type="ml.m5.large",
        code=str(path),
        poll_interval=0.2,
    )


def described(sagemaker: LocalSageMaker, runner: Runner) -> dict[str, Any]:
    name = runner.supervisor.xcoms["task", -1]["job_name"]
    return sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=name)


@pytest.mark.parametrize("place", [f"s3://{BUCKET}/team", f"s3://{BUCKET}/team/config.yaml"])
def test_a_file_in_s3_gives_a_task_its_role_and_a_hidden_environment(
    task: ScriptProcessingOperator,
    runner: Runner,
    sagemaker: LocalSageMaker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    place: str,
) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", place)
    with caplog.at_level("INFO"):
        ended = runner.run(task)
    assert ended.state == "success", ended.error
    job = described(sagemaker, runner)
    assert (job["RoleArn"], job["Environment"]) == ("arn:aws:iam::123456789012:role/Admin", {"WORD": WORD})
    said = caplog.text + capfd.readouterr().out
    assert f"Defaults from {place}: role, env" in said
    assert "the word is ***" in said
    assert WORD not in said


def test_the_connections_defaults_win_and_the_tasks_own_values_win_over_them(
    task: ScriptProcessingOperator, runner: Runner, sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = {"RoleArn": "arn:aws:iam::123456789012:role/Connection", "Tags": [{"Key": "team", "Value": "ml"}]}
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    extra = {**connection.get("extra", {}), "sagemaker_config": {"SageMaker": {"ProcessingJob": section}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({**connection, "extra": extra}))
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", f"s3://{BUCKET}/team")
    task.env = {"WORD": "mine"}
    ended = runner.run(task)
    assert ended.state == "success", ended.error
    job = described(sagemaker, runner)
    assert (job["RoleArn"], job["Environment"]) == ("arn:aws:iam::123456789012:role/Connection", {"WORD": "mine"})
    tags = sagemaker.client("sagemaker").list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert {"Key": "team", "Value": "ml"} in tags


def test_a_task_without_any_role_fails_without_a_retry(task: ScriptProcessingOperator, runner: Runner) -> None:
    ended = runner.run(task)
    assert ended.state == "failed"
    assert "role=None: is required, and no default has RoleArn" in str(ended.error)


def test_a_resumed_worker_hides_a_default_environment_too(
    task: ScriptProcessingOperator,
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", f"s3://{BUCKET}/team")
    task.deferrable = True
    deferred = runner.run(task).deferred
    assert deferred.trigger_kwargs["mask_env"] is True
    failure = {"error": TriggerFailureReason.TRIGGER_FAILURE.value, "traceback": None}
    assert runner.run(task, resume=(TRIGGER_FAIL_REPR, failure)).state == "success"
    said = capfd.readouterr().out
    assert "the word is ***" in said
    assert WORD not in said


def test_a_try_that_finds_the_task_instances_job_needs_no_defaults(
    task: ScriptProcessingOperator, runner: Runner, sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", f"s3://{BUCKET}/team")
    assert runner.run(task).state == "success"
    made = described(sagemaker, runner)
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", "/no/such/file")
    ended = runner.run(task)
    assert ended.state == "success", ended.error
    assert described(sagemaker, runner)["ProcessingJobArn"] == made["ProcessingJobArn"]


def test_reading_defaults_is_retried_like_an_upload(
    task: ScriptProcessingOperator,
    runner: Runner,
    sagemaker: LocalSageMaker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", f"s3://{BUCKET}/team")
    task.botocore_config = {"retries": {"total_max_attempts": 1}}
    sagemaker.set_faults("s3:GetObject:error=InternalError,status=500,times=1")
    with caplog.at_level("WARNING"):
        ended = runner.run(task)
    assert ended.state == "success", ended.error
    assert f"GetObject for s3://{BUCKET}/team/config.yaml failed: InternalError" in caplog.text
