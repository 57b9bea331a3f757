"""Whatever a proxy or a half-dead service answers while a worker waits, no job is stopped."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tenacity import wait_none

from airflow_sm_processing import ProcessingJobSensor, ProcessingOperator
from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.processing import aws_calls, submission
from tests.malformed_answers import (
    CREATE,
    DESCRIBE,
    LIST,
    LOGS,
    ODD_DESCRIPTIONS,
    S3,
    S3_OBJECTS,
    STREAMS,
    TAGS,
    Malformed,
)
from tests.spoiling_relay import SpoilingRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

    TaskFactory = Callable[..., ProcessingOperator]


@pytest.fixture
def relay(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpoilingRelay]:
    """What the task's calls go through."""
    with SpoilingRelay() as relay:
        for name, value in relay.environment().items():
            monkeypatch.setenv(name, value)
        yield relay


@pytest.fixture
def base() -> str:
    return f"spoilt-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def task_factory(dag: DAG, base: str) -> TaskFactory:
    """Makes tasks whose job runs a line of Python, and is looked at all the time."""

    def make(line: str, **parameters: Any) -> ProcessingOperator:
        return ProcessingOperator(
            **{
                "task_id": "task",
                "dag": dag,
                "role": "arn:aws:iam::123456789012:role/SageMakerRole",
                "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
                "instance_count": 1,
                "instance_type": "ml.m5.xlarge",
                "entrypoint": [sys.executable, "-c"],
                "arguments": [line],
                "base_job_name": base,
                "poll_interval": 0.02,
                "botocore_config": {"retries": {"total_max_attempts": 1}},
                **parameters,
            }
        )

    return make


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What the package warns of meanwhile."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, listener = logging.getLogger("airflow_sm_processing"), Listener(logging.WARNING)
    logger.addHandler(listener)
    yield said
    logger.removeHandler(listener)


def with_healthy_ones(answers: Iterable[Malformed]) -> list[Malformed | None]:
    """Let a true answer follow each, so that each is a trouble of its own."""
    return [each for answer in answers for each in (answer, None)]


def jobs(sagemaker: LocalSageMaker, base: str) -> dict[str, str]:
    """Return the status of each job whose name begins so, as the service has it."""
    answer = sagemaker.client("sagemaker").list_processing_jobs(NameContains=base, MaxResults=100)
    found = {job["ProcessingJobName"]: job["ProcessingJobStatus"] for job in answer["ProcessingJobSummaries"]}
    return {name: status for name, status in found.items() if name.startswith(base)}


def waits_at(gate: Path) -> str:
    opened = f"lambda: os.path.exists({str(gate)!r})"
    return f"import os, time; [time.sleep(0.05) for _ in iter({opened}, True)]; print('end')"


@contextmanager
def opened_when_all_are_spoilt(gate: Path, relay: SpoilingRelay) -> Iterator[None]:
    """Open a job's gate when the relay has nothing left to spoil, and after the time that it may take at most."""

    def wait() -> None:
        relay.wait_until_spoilt(200)
        gate.touch()

    opening = threading.Thread(target=wait)
    opening.start()
    try:
        yield
    finally:
        relay.forget()
        opening.join()


def test_a_worker_waits_through_all_of_them(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    relay: SpoilingRelay,
    base: str,
    warnings: list[str],
    tmp_path: Path,
) -> None:
    relay.spoil("DescribeProcessingJob", with_healthy_ones([*DESCRIBE, *ODD_DESCRIPTIONS]))
    relay.spoil("DescribeLogStreams", with_healthy_ones(STREAMS))
    relay.spoil("GetLogEvents", with_healthy_ones(LOGS))

    with opened_when_all_are_spoilt(tmp_path / "gate", relay):
        ended = runner.run(task_factory(waits_at(tmp_path / "gate")))
        assert relay.left() == {}

    assert (ended.state, [*jobs(sagemaker, base).values()]) == ("success", ["Completed"]), ended.error
    assert "StopProcessingJob" not in relay.calls()
    troubles = [line for line in warnings if line.startswith("DescribeProcessingJob")]
    assert len(troubles) == len(DESCRIBE)
    assert [line for line in troubles if base not in line] == []
    unknown = [line for line in warnings if "doesn't know" in line]
    assert len(unknown) == 3
    assert [line for line in unknown if base not in line] == []


@pytest.mark.parametrize("patience", [600, 0.001])
def test_a_creation_whose_answer_cannot_be_read_has_made_the_one_job(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    relay: SpoilingRelay,
    base: str,
    monkeypatch: pytest.MonkeyPatch,
    patience: float,
) -> None:
    monkeypatch.setattr(aws_calls, "_SOON", wait_none())
    monkeypatch.setattr(submission, "_LONGEST_PAUSE", 0.01)
    for number, answer in enumerate(CREATE[:: 2 if patience > 1 else 5]):
        relay.spoil("CreateProcessingJob", [answer])
        if patience > 1 and number < len(TAGS):
            relay.spoil("ListTags", [TAGS[number]])
        task = task_factory(
            "pass",
            task_id=f"task_{number}",
            base_job_name=f"{base}-{number:02}",
            wait_for_completion=False,
            max_transient_seconds=patience,
        )
        ended = runner.run(task, retries_left=False)
        assert ended.state == "success", (answer.id, ended.error)
        assert relay.left() == {}
        assert len(jobs(sagemaker, f"{base}-{number:02}")) == 1, answer.id
    assert "StopProcessingJob" not in relay.calls()


def test_a_sensor_looks_through_all_of_them(
    runner: Runner,
    dag: DAG,
    task_factory: TaskFactory,
    relay: SpoilingRelay,
    base: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    runner.run(task_factory("pass", wait_for_completion=False))
    capfd.readouterr()
    relay.spoil("ListProcessingJobs", LIST)
    relay.spoil("DescribeProcessingJob", DESCRIBE)
    sensor = ProcessingJobSensor(
        task_id="sensor",
        dag=dag,
        job_name_prefix=base,
        since="2020-01-01T00:00:00Z",
        poke_interval=0.01,
        botocore_config={"retries": {"total_max_attempts": 1}},
    )

    ended = runner.run(sensor)

    assert (ended.state, relay.left()) == ("success", {}), ended.error
    troubles = [line for line in capfd.readouterr().out.splitlines() if "Searching again." in line]
    assert len(troubles) == len(LIST) + len(DESCRIBE)
    assert [line for line in troubles if base not in line] == []


def test_result_files_are_read_through_all_of_them(
    runner: Runner, task_factory: TaskFactory, relay: SpoilingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_calls, "_SOON", wait_none())
    relay.spoil("GetObject", S3_OBJECTS)
    relay.spoil("ListObjectsV2", S3)
    task = task_factory(
        "open('/opt/ml/processing/o/r.json', 'w').write('[7]')",
        outputs=[{"source": "/opt/ml/processing/o", "output_name": "o"}],
        result_files={"r": "o/r.json"},
    )

    ended = runner.run(task, retries_left=False)

    assert (ended.state, runner.supervisor.xcoms["task", -1].get("r")) == ("success", [7]), ended.error
    assert "GetObject" not in relay.left()


@pytest.mark.parametrize("retries_left", [True, False])
def test_when_patience_ends_the_healthy_job_goes_on_and_the_next_try_waits_for_it(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    relay: SpoilingRelay,
    base: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    *,
    retries_left: bool,
) -> None:
    gate = tmp_path / "gate"
    relay.spoil("DescribeProcessingJob", DESCRIBE * 50)
    task = task_factory(waits_at(gate), max_transient_seconds=0.5)

    first = runner.run(task, retries_left=retries_left)

    assert isinstance(first.error, TransientError)
    assert base in str(first.error)
    assert [*jobs(sagemaker, base).values()] == ["InProgress"]
    (name,) = jobs(sagemaker, base)
    said = capfd.readouterr().out
    assert (f"Processing job {name} is left to the task's next try" in said) is retries_left
    assert (f"Processing job {name} keeps running" in said) is not retries_left
    relay.forget()
    gate.touch()
    second = runner.run(task, retries_left=retries_left)
    assert (second.state, jobs(sagemaker, base)) == ("success", {name: "Completed"}), second.error
