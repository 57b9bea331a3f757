"""Joins after branches, in a DAG run of Airflow's own (`airflow dags test`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from tests.dag_runs import Run

IN = "/opt/ml/processing/in"


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run]) -> Run:
    return run_dag("language_branches")


@pytest.fixture
def request_of(finished: Run, sagemaker: LocalSageMaker) -> Callable[[str], Any]:
    """Returns what a task asked of SageMaker."""

    def described(task: str) -> Any:
        job = finished.xcoms[task]["job_name"]
        return sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job)

    return described


@pytest.mark.parametrize("task", ["join", "mapped_join[0]"])
def test_a_join_reads_what_ran(finished: Run, request_of: Callable[[str], Any], task: str):
    assert (finished.states["left"], finished.states["empty"]) == ("skipped", "skipped")
    assert "o" in finished.xcoms["empty"]  # of its submission
    inputs = [item for item in request_of(task)["ProcessingInputs"] if item["InputName"] != "code"]
    assert [item["S3Input"]["S3Uri"].rstrip("/") for item in inputs] == [finished.xcoms["taken"]["o"]]
    assert f"read {IN}/name.txt taken" in finished.logs[task]


def test_a_template_that_gives_nothing_is_an_error_without_a_retry(finished: Run):
    assert finished.states["nothing"] == "failed"
    assert "the template \"{{ ti.xcom_pull('left', key='o') }}\" has no value" in finished.logs["nothing"]
