"""A DAG of functions, in workers and deferred, mapped and not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dag_runs import Run, run_dag

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker


@pytest.fixture(scope="module")
def finished(sagemaker: LocalSageMaker) -> Run:
    return run_dag("functions", Path(__file__).parent / "dags", sagemaker.environment())


def test_each_task_ends_as_its_function(finished: Run):
    succeeded = ["sizes", "write", "measure", "large[0]", "large[1]", "count", "seen"]
    assert finished.states == dict.fromkeys(succeeded, "success") | {"fail": "failed", "skip": "skipped"}


def test_results_go_from_function_to_function(finished: Run):
    run_id = finished.xcoms["write"]["run"]
    result = {"size": 3, "run": run_id}
    assert run_id.startswith("manual__")
    assert finished.xcoms["write"].keys() >= {"return_value", "size", "run", "job_name", "job_arn", "text", "outcome"}
    assert finished.xcoms["write"]["return_value"] == result
    assert finished.xcoms["measure"]["return_value"] == [3, result, [1, 2]]


def test_large_results_are_resolved_by_functions_and_seen_as_places_by_others(finished: Run):
    assert finished.xcoms["count"]["return_value"] == [1, 2]
    assert finished.xcoms["seen"]["return_value"] == ["sm_processing_result"] * 2


def test_what_a_function_prints_and_raises_is_in_its_tasks_log(finished: Run):
    assert "[algo-1] wrote 3" in finished.output
    error = finished.output.partition("FunctionFailedError: fail raised ValueError on algo-1 of processing job ")[2]
    assert 'File "functions.py", line ' in error
    assert "ValueError: no 7 with ***" in error
    assert "a-password-of-ours" not in finished.output
