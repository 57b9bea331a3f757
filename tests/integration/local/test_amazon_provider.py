"""The amazon provider's own SageMakerProcessingOperator, unmodified, runs jobs here as it does on the service."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator

from .bench import Bench, s3_output

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.task_runner import Runner

pytestmark = pytest.mark.usefixtures("environment")


def operator(dag: DAG, config: dict[str, Any], **options: Any) -> SageMakerProcessingOperator:
    return SageMakerProcessingOperator(task_id=f"job_{uuid.uuid4().hex}", config=config, check_interval=1, **options)


def config(bench: Bench, command: list[str]) -> dict[str, Any]:
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    return bench.request(command, name=f"theirs-{uuid.uuid4().hex}", ProcessingOutputConfig={"Outputs": [output]})


def test_it_waits_for_its_job_and_returns_the_description(dag: DAG, runner: Runner, bench: Bench):
    wanted = config(bench, ["sh", "-c", "echo said; echo made > /opt/ml/processing/out/file"])
    task = operator(dag, wanted, print_log=True)
    ended = runner.run(task)
    assert (ended.state, ended.error) == ("success", None)
    described = runner.supervisor.xcoms[task.task_id, -1]["return_value"]["Processing"]
    assert (described["ProcessingJobName"], described["ProcessingJobStatus"]) == (
        wanted["ProcessingJobName"],
        "Completed",
    )
    assert bench.objects("out/") == {"out/file": b"made\n"}


def test_a_failed_job_fails_its_task(dag: DAG, runner: Runner, bench: Bench):
    ended = runner.run(operator(dag, config(bench, ["false"]), print_log=False))
    assert ended.state in {"failed", "up_for_retry"}
    assert "exit code: 1" in str(ended.error)


def test_a_name_that_is_taken_gets_a_timestamp(dag: DAG, runner: Runner, bench: Bench):
    wanted = config(bench, ["true"])
    taken = wanted["ProcessingJobName"]
    for _ in range(2):
        task = operator(dag, dict(wanted), print_log=False)
        assert runner.run(task).state == "success"
    described = runner.supervisor.xcoms[task.task_id, -1]["return_value"]["Processing"]
    assert described["ProcessingJobName"].startswith(f"{taken}-")


def test_a_name_that_is_taken_can_fail_the_task(dag: DAG, runner: Runner, bench: Bench):
    wanted = config(bench, ["true"])
    bench.end(bench.create(["true"], name=wanted["ProcessingJobName"]))
    ended = runner.run(operator(dag, wanted, print_log=False, action_if_job_exists="fail"))
    assert "already exists" in str(ended.error)
