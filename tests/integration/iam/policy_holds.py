"""The policy that `iam-policy` writes, held against what tasks really call."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_processing import (
    ProcessingInput,
    ProcessingJobSensor,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from airflow_sm_processing.cli.dag_policies import sensed_jobs, task_policies
from airflow_sm_processing.iam.statements import caller_statements, policy_document, sensing_statements
from airflow_sm_processing.local import Fault
from airflow_sm_processing.triggers.processing import JobSensorTrigger, ProcessingJobTrigger
from tests.acceptance.account import Account
from tests.task_runner import Runner, Supervisor, installed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

    from .conftest import Guard

LISTING = "sagemaker:ListProcessingJobs"
LOG_READING = "logs:FilterLogEvents"
OPTIONAL = {"sagemaker:AddTags", "sagemaker:ListTags", LISTING}
COMMON = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "poll_interval": 0.2,
}
LINES = (
    "import os, time; [print(line, flush=True) or time.sleep(0.5) for line in range(8)]; "
    "[time.sleep(0.1) for _ in iter(lambda: os.path.exists({gate!r}), True)]"
)
SECONDS = 120  # until the jobs are listed and their logs read, at most
SEVERAL_PARTS = 9 * 1024**2  # bytes: s3transfer and the CRT client upload 8 MB at a time


@pytest.fixture
def dag(tmp_path: Path) -> DAG:
    """One task for each way in which tasks differ in what they call."""
    script = tmp_path / "script.py"
    script.write_text("print('done')")
    large = tmp_path / "large"
    large.write_bytes(b"x" * SEVERAL_PARTS)
    python = {**COMMON, "entrypoint": [sys.executable, "-c"]}
    with DAG("a_dag", schedule=None) as dag:
        output = ProcessingOutput("/opt/ml/processing/result", output_name="result")
        ScriptProcessingOperator(task_id="script", code=str(script), outputs=[output], **COMMON)
        lines = LINES.format(gate=str(tmp_path / "gate"))
        for task_id in ("deferred", "deferred_too"):  # one job alone is described: a listing would save no call
            ProcessingOperator(task_id=task_id, arguments=[lines], deferrable=True, **python)
        ProcessingOperator(task_id="slow", arguments=["import time; time.sleep(600)"], max_wait=1.0, **python)
        source = ProcessingInput(str(large), "/opt/ml/processing/large")
        ProcessingOperator(task_id="large", inputs=[source], arguments=["pass"], max_transient_seconds=0.1, **python)
    return dag


def add_named(dag: DAG) -> None:
    """Add a task whose retry must free the name of its failed job."""
    line, entrypoint = "raise SystemExit(1)", [sys.executable, "-c"]
    ProcessingOperator(task_id="named", dag=dag, job_name="my-Job", arguments=[line], entrypoint=entrypoint, **COMMON)


def policy(dag: DAG, **how: bool) -> dict[str, Any]:
    place = {"account": "123456789012", "region": "us-east-1"}
    needed = [item for found in task_policies(dag, **place) for item in caller_statements(found.needs)]
    needed += [item for sought in sensed_jobs(dag, **place) for item in sensing_statements(**sought._asdict())]
    return policy_document(needed, **how)


def actions(document: dict[str, Any]) -> set[str]:
    return {action for item in document["Statement"] for action in item["Action"]}


def run_all(dag: DAG, server: LocalSageMaker, guard: Guard, gate: Path) -> dict[str, str]:
    """Run each task to its end, some again, and return the states; triggers ask for jobs that wait at the gate."""
    states = {}
    with installed(Supervisor()) as runner:
        run: Callable[[str], str] = lambda task_id: runner.run(dag.get_task(task_id)).state  # noqa: E731
        states["script"], states["script again"] = run("script"), run("script")
        if dag.has_task("named"):
            states["named"], states["named again"] = run("named"), run("named")
        states["slow"] = run("slow")
        states["deferred"], states["deferred_too"] = deferred(runner, dag, guard, gate)
        server.set_faults(Fault(operation="s3:UploadPart", error="InvalidPart"))
        states["large"] = run("large")
    return states


def deferred(runner: Runner, dag: DAG, guard: Guard, gate: Path) -> list[str]:
    """Run the deferrable tasks, then their triggers at once, then the tasks again."""
    tasks = [dag.get_task(task_id) for task_id in ("deferred", "deferred_too")]
    triggers = [ProcessingJobTrigger(**runner.run(task).deferred.trigger_kwargs) for task in tasks]

    async def all_events() -> list[Any]:
        events, _ = await asyncio.gather(first_events(triggers), asyncio.to_thread(open_when_asked_for, gate, guard))
        return events

    return [
        runner.run(task, resume=("execute_complete", {"event": event})).state
        for task, event in zip(tasks, asyncio.run(all_events()), strict=True)
    ]


def open_when_asked_for(gate: Path, guard: Guard) -> None:
    """Open the gate once triggers have asked for the jobs that wait at it, and for their logs, allowed or not."""
    deadline = time.monotonic() + SECONDS
    while not {LISTING, LOG_READING} <= guard.used | guard.denied and time.monotonic() < deadline:
        time.sleep(0.05)
    gate.touch()


async def first_events(triggers: list[ProcessingJobTrigger] | list[JobSensorTrigger]) -> list[Any]:
    async def first(trigger: ProcessingJobTrigger | JobSensorTrigger) -> Any:
        (event,) = [event.payload async for event in trigger.run()]
        return event

    return await asyncio.gather(*map(first, triggers))


ENDS = {
    "script": "success",
    "script again": "success",
    "slow": "up_for_retry",
    "deferred": "success",
    "deferred_too": "success",
    "large": "up_for_retry",
}


def test_it_allows_exactly_what_the_tasks_call(dag: DAG, guarded: LocalSageMaker, guard: Guard, tmp_path: Path):
    add_named(dag)
    guard.policy = policy(dag)
    assert run_all(dag, guarded, guard, tmp_path / "gate") == {
        **ENDS,
        "named": "up_for_retry",
        "named again": "up_for_retry",
    }
    assert guard.denied == set()
    assert guard.used == actions(guard.policy)


def test_the_minimal_one_leaves_out_only_what_tasks_do_without(
    dag: DAG, guarded: LocalSageMaker, guard: Guard, tmp_path: Path
):
    guard.policy = policy(dag, minimal=True)
    assert run_all(dag, guarded, guard, tmp_path / "gate") == ENDS
    assert guard.denied == OPTIONAL
    assert guard.used == actions(guard.policy) == actions(policy(dag)) - OPTIONAL
    guard.policy = None
    sagemaker = boto3.client("sagemaker")
    arns = [job["ProcessingJobArn"] for job in sagemaker.list_processing_jobs()["ProcessingJobSummaries"]]
    assert [sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in arns] == [[]] * len(arns)
    assert len(arns) == 4  # the script's second try took the first one's


def test_the_minimal_one_keeps_what_tells_whose_a_chosen_name_is(guarded: LocalSageMaker, guard: Guard):
    with DAG("another_dag", schedule=None) as named:
        add_named(named)
    guard.policy = policy(named, minimal=True)
    with installed(Supervisor()) as runner:
        assert [runner.run(named.get_task("named")).state for _ in range(2)] == ["up_for_retry"] * 2
    assert guard.denied == set()
    assert {"sagemaker:AddTags", "sagemaker:ListTags", "sagemaker:DeleteProcessingJob"} < guard.used


@pytest.mark.parametrize(
    ("which", "minimal"),
    [
        ({"job_name": "elsewhere-1"}, True),
        ({"job_arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/elsewhere-1"}, True),
        ({"job_name_prefix": "elsewhere-"}, False),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_it_allows_exactly_what_sensors_call(
    guarded: LocalSageMaker, guard: Guard, which: dict[str, str], minimal: bool, deferrable: bool, tmp_path: Path
):
    gate = tmp_path / "gate"
    Account(guarded).start("elsewhere-1", gate=gate)
    with DAG("a_dag", schedule=None) as dag:
        sensor = ProcessingJobSensor(task_id="sensor", deferrable=deferrable, poll_interval=0.2, **which)
    guard.used.clear()
    guard.policy = policy(dag, minimal=minimal)
    with installed(Supervisor()) as runner:
        if not deferrable:
            gate.touch()
        ended = runner.run(sensor)
        if deferrable:
            gate.touch()  # a job that had ended before would be no reason to defer
            (event,) = asyncio.run(first_events([JobSensorTrigger(**ended.deferred.trigger_kwargs)]))
            ended = runner.run(sensor, resume=("execute_complete", {"event": event}))
    assert ended.state == "success"
    assert guard.denied == set()
    assert guard.used == actions(guard.policy)
