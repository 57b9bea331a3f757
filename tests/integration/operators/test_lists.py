"""Lists that Airflow resolves lazily, in a DAG run of Airflow's own (`airflow dags test`)."""

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
    return run_dag("language_lists")


@pytest.fixture
def request_of(finished: Run, sagemaker: LocalSageMaker) -> Callable[[str], Any]:
    """Returns what a task asked of SageMaker."""

    def described(task: str) -> Any:
        job = finished.xcoms[task]["job_name"]
        return sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job)

    return described


def mapped_uris(finished: Run) -> list[str]:
    return [finished.xcoms[f"mapped[{index}]"]["o"] for index in range(2)]


def test_an_output_of_a_mapped_task_is_a_list_of_arguments(finished: Run, request_of: Callable[[str], Any]):
    assert request_of("arguments")["AppSpecification"]["ContainerArguments"] == mapped_uris(finished)


def test_inputs_are_made_of_a_mapped_tasks_results(finished: Run, request_of: Callable[[str], Any]):
    inputs = [item["S3Input"] for item in request_of("inputs")["ProcessingInputs"] if item["InputName"] != "code"]
    assert [item["LocalPath"] for item in inputs] == [f"{IN}/{uri.split('/')[-3]}" for uri in mapped_uris(finished)]
    assert [item["S3Uri"].rstrip("/") for item in inputs] == mapped_uris(finished)


def test_a_source_that_is_a_list_becomes_numbered_inputs(finished: Run):
    for index, name in enumerate("ab"):
        assert f"read {IN}/{index}/name.txt {name}" in finished.logs["source"]


def test_a_function_reads_them(finished: Run):
    assert finished.xcoms["function"]["return_value"] == [mapped_uris(finished), ["a", "b"]]
