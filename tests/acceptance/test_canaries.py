"""No secret that a task is given is in anything that Airflow and its tasks write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import Fault

from .canaries import LITERAL, Canaries
from .conftest import CANARY_DAGS
from .runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_services import RunningAirflow

    from .runs import Gate

MODES = tuple(dag_id for dag_id in CANARY_DAGS if dag_id != "canaries_other")
# Where Airflow itself keeps what it is given, and why nothing else may be there.
KEPT = {
    ("variable", "val"): "this is where variables are kept",
    ("connection", "password"): "this is where connections are kept",
    ("connection", "extra"): "this is where connections are kept",
}
IN_THE_DAG_FILE = {
    ("dag_code", "source_code", "literal"): "the DAG file itself, which has it in plain text",
    ("serialized_dag", "data", "literal"): "the DAG file's content, as the scheduler reads it",
}


@pytest.fixture(scope="module")
def canaries(
    airflow: RunningAirflow, sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Canaries]:
    canaries = Canaries.with_keys_of(sagemaker)
    canaries.plant(airflow, tmp_path_factory.mktemp("planted"))
    quoted = f"{{CANARY_LITERAL={LITERAL}, CANARY_VARIABLE={canaries.word}, CANARY_CONNECTION={canaries.password}}}"
    refusal = f"1 validation error detected: Value '{quoted}' at 'environment' failed to satisfy constraint"
    sagemaker.set_faults(
        Fault(
            operation="CreateProcessingJob", error="ValidationException", message=refusal, job="canaries-is-refused-*"
        )
    )
    yield canaries
    sagemaker.set_faults()


@pytest.fixture(scope="module")
def runs(airflow: RunningAirflow, canaries: Canaries, gate_factory: Callable[[], Gate]) -> dict[str, Run]:
    """A run of each DAG of `dags/canaries.py`, by DAG id."""
    return {dag_id: Run(airflow, dag_id, gate=gate_factory()) for dag_id in CANARY_DAGS}


@pytest.fixture(scope="module")
def ended(runs: dict[str, Run]) -> dict[str, dict[str, str]]:
    """The tasks' last states, by DAG and task id, when all have ended."""
    for run in runs.values():
        run.open_gate()
    return {dag_id: {task.task_id: str(task.state) for task in run.ended()} for dag_id, run in runs.items()}


def test_what_a_deferred_task_tells_its_trigger_is_no_secret(
    airflow: RunningAirflow, runs: dict[str, Run], canaries: Canaries
) -> None:
    run = runs["canaries_deferred"]
    run.until_task_is("completes", "deferred")
    shown = airflow.api._request("GET", f"dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances").text
    assert "ProcessingJobTrigger" in shown
    assert canaries.in_text(shown) == set()


def test_the_tasks_end_as_they_would_with_other_values(ended: dict[str, dict[str, str]]) -> None:
    assert ended == {
        **{dag_id: {"completes": "success", "fails": "failed"} for dag_id in MODES},
        "canaries_other": {"mapped": "success", "is_refused": "failed", "is_wrong": "failed"},
    }


@pytest.mark.parametrize("dag_id", MODES)
@pytest.mark.parametrize("task_id", ["completes", "fails"])
def test_a_jobs_lines_are_shown_and_the_secrets_in_them_are_not(
    dag_id: str, task_id: str, runs: dict[str, Run], ended: Any, canaries: Canaries
) -> None:
    log = runs[dag_id].log(task_id)
    lines = [line.text for line in runs[dag_id].job_lines(task_id)]
    assert [line for line in lines if line.startswith("CANARY_")] == [
        "CANARY_LITERAL is ***",
        "CANARY_VARIABLE is ***",
        "CANARY_LINES is ***",
        "CANARY_JSON is ***",
        "CANARY_URL is ***",
        "CANARY_CONNECTION is ***",
    ]
    assert lines[-1] == "all is told"
    assert canaries.in_text(log) == set()


@pytest.mark.parametrize("dag_id", MODES)
def test_a_result_and_an_error_have_what_the_script_said_without_the_secrets(
    dag_id: str, runs: dict[str, Run], ended: Any
) -> None:
    said = "I was told ***, ***, ***, ***, ***, ***"
    assert runs[dag_id].xcoms("completes")["return_value"]["exit_message"] == said
    assert f"ExitMessage: {said}" in runs[dag_id].log("fails")


def test_a_refusal_and_a_wrong_definition_say_what_is_wrong_without_the_secrets(
    runs: dict[str, Run], ended: Any
) -> None:
    run = runs["canaries_other"]
    assert "ValidationException: 1 validation error detected: Value '***' at 'environment'" in run.log("is_refused")
    log = run.log("is_wrong")
    assert "inputs[0].source='https://a-bucket.s3.amazonaws.com/key?***': must be an S3 URI" in log
    assert "env['CANARY_LONG']=(hidden, 560 characters): must have at most 256 characters, has 560" in log


@pytest.mark.parametrize(
    ("dag_id", "task_id"), [(dag_id, "completes") for dag_id in MODES] + [("canaries_other", "is_wrong")]
)
def test_rendered_templates_have_no_secret(
    dag_id: str, task_id: str, runs: dict[str, Run], ended: Any, canaries: Canaries
) -> None:
    rendered = runs[dag_id].rendered(task_id)
    assert canaries.in_text(str(rendered)) == set()
    env: Any = rendered["env"]
    assert {value.strip("*\n") for value in env.values()} == {""}  # stars for the whole value, or for each line


def test_no_tag_of_a_job_has_a_secret(
    runs: dict[str, Run], ended: Any, canaries: Canaries, sagemaker: LocalSageMaker, job_of: Callable[[Run, str], Any]
) -> None:
    client = sagemaker.client("sagemaker")
    for dag_id in MODES:
        for task_id in ("completes", "fails"):
            job = job_of(runs[dag_id], task_id)
            tags = client.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
            assert canaries.in_text(str(tags)) == set()
            assert job["Environment"]["CANARY_VARIABLE"] == canaries.word  # the job itself has what it was to have


def test_no_file_of_airflows_processes_and_tasks_has_a_secret(
    airflow: RunningAirflow, ended: Any, canaries: Canaries
) -> None:
    assert list(airflow.home.path.glob("logs/**/task_id=fails/attempt=1.log"))
    assert canaries.in_files(airflow.home.path) == set()


def test_airflows_database_has_secrets_where_it_keeps_them_and_nowhere_else(
    airflow: RunningAirflow, ended: Any, canaries: Canaries
) -> None:
    found = canaries.in_database(airflow.home.path / "airflow.db")
    assert {place for place in found if place[:2] not in KEPT} == IN_THE_DAG_FILE.keys()
