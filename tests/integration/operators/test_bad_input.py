"""What goes wrong is said in full, retried only where that can help, and loses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker
    from tests.dag_runs import Run


@dataclass(frozen=True)
class Expected:
    """How a task of the DAG `bad_input` ends; `says` stands in its log."""

    says: tuple[str, ...]
    state: str = "failed"
    tries: int = 1


ROWS = {
    "missing_code": Expected(
        ("TaskDefinitionError", "code='scripts/absent.py': no such file or folder: /", "dags/scripts/absent.py")
    ),
    "missing_input": Expected(("TaskDefinitionError", "inputs[0].source='absent/': no such file or folder: /")),
    "rejected_name": Expected(("TaskDefinitionError", "job_name='not_legal': must match")),
    "too_long_a_variable": Expected(
        ("TaskDefinitionError", "env[", "must have at most 256 characters, has 26000: with an entrypoint")
    ),
    "unknown_instance_type": Expected(("TaskDefinitionError", "instance_type=", "did you mean ml.m5.xlarge")),
    "unknown_role": Expected(("TaskDefinitionError", "role='AbsentRole': IAM knows no role of that name")),
    "denied_role": Expected(("TaskDefinitionError", "ValidationException: Could not assume role")),
    "missing_bucket": Expected(("BucketError", "absent-bucket", "behave.py")),
    "missing_data": Expected(("JobFailedError", "FailureReason: ", "absent/")),
    "exits_3": Expected(("JobFailedError", "exit code: 3", "ExitMessage: the data is too old", "about to fail")),
    "killed": Expected(("JobFailedError", "FailureReason: AlgorithmError: , exit code: 137")),
    "retried": Expected(("JobFailedError", "exit code: 3"), tries=2),
    "writes_nothing": Expected((), state="success"),
    "not_utf8": Expected(("caf\ufffd \ufffd end",), state="success"),
    "long_line": Expected(("xEND",), state="success"),
}


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run], sagemaker: LocalSageMaker) -> Iterator[Run]:
    sagemaker.set_faults(Fault.denied_role("*DeniedRole"))
    yield run_dag("bad_input")
    sagemaker.set_faults()


@pytest.mark.parametrize("task", ROWS)
def test_what_goes_wrong_is_said_in_full(finished: Run, task: str):
    expected = ROWS[task]
    assert (finished.states[task], finished.tries[task]) == (expected.state, expected.tries), finished.logs[task]
    for text in expected.says:
        assert text in finished.logs[task]


def test_every_task_of_the_dag_is_a_row(finished: Run):
    assert finished.states.keys() == ROWS.keys()


def test_a_line_of_1_mb_is_in_the_log_whole(finished: Run):
    assert finished.logs["long_line"].count("x" * 1000) == 1048
    assert sum(len(part) for part in finished.logs["long_line"].split() if set(part) <= set("xEND")) == 1024 * 1024 + 3


def test_nothing_goes_on_afterwards(finished: Run, sagemaker: LocalSageMaker):
    jobs = sagemaker.client("sagemaker").list_processing_jobs(StatusEquals="InProgress", NameContains="sklearn")
    names = {xcom.get("job_name") for xcom in finished.xcoms.values()}
    assert names.isdisjoint(job["ProcessingJobName"] for job in jobs["ProcessingJobSummaries"])
