"""Airflow's own language in a DAG run of Airflow's own (`airflow dags test`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Run

    from airflow_sm_processing.local import LocalSageMaker

pytestmark = pytest.mark.xdist_group("language")
IN = "/opt/ml/processing/in"


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run]) -> Run:
    return run_dag("language")


@pytest.fixture
def request_of(finished: Run, sagemaker: LocalSageMaker) -> Callable[[str], Any]:
    """Gives what a task asked of SageMaker."""

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


@pytest.mark.parametrize("task", ["join", "mapped_join[0]"])
def test_a_join_reads_what_ran(finished: Run, request_of: Callable[[str], Any], task: str):
    assert (finished.states["left"], finished.states["empty"]) == ("skipped", "skipped")
    assert "o" in finished.xcoms["empty"]  # of its submission
    inputs = [item for item in request_of(task)["ProcessingInputs"] if item["InputName"] != "code"]
    assert [item["S3Input"]["S3Uri"].rstrip("/") for item in inputs] == [finished.xcoms["taken"]["o"]]
    assert f"read {IN}/name.txt taken" in finished.logs[task]


def test_a_template_that_gives_nothing_is_an_error_without_a_retry(finished: Run):
    assert finished.states["nothing"] == "failed"
    assert "the template \"{{ ti.xcom_pull('left', key='o') }}\" gave nothing" in finished.logs["nothing"]


def test_a_function_reads_them(finished: Run):
    assert finished.xcoms["function"]["return_value"] == [mapped_uris(finished), ["a", "b"]]
