"""From rendered parameters to the definition of a job."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_sm_processing import (
    DefinitionError,
    InstancePreference,
    NetworkConfig,
    ProcessingInput,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from airflow_sm_processing.operators.parameters import WaitOptions
from airflow_sm_processing.ownership.owner import job_name, stem
from tests.task_parameters import read_task


def test_numbers_and_flags_that_arrive_as_strings_are_read(task_factory):
    task = task_factory(
        instance_type=None,
        instance_count="{{ n }}",
        instance_preferences="{{ preferences }}",
        volume_size_in_gb="{{ gb }}",
        max_runtime_in_seconds="{{ seconds }}",
        network_config={"enable_network_isolation": "{{ isolated }}", "encrypt_inter_container_traffic": "{{ no }}"},
        inputs="{{ inputs }}",
        env={"N": 3, "TEXT": "x"},
        arguments=["--rate", 0.5],
        poll_interval="{{ poll }}",
        deferrable="{{ deferrable }}",
        max_wait="{{ wait }}",
    )
    # What Airflow leaves behind after rendering: strings, whatever they stand for.
    task.instance_count, task.volume_size_in_gb, task.max_runtime_in_seconds = "2", "50", "600"
    task.instance_preferences = '[{"instance_type": "ml.m5.large", "instance_count": "3"}, "ml.m5.xlarge"]'
    task.network_config = {"enable_network_isolation": "True", "encrypt_inter_container_traffic": "false"}
    task.inputs = '[{"source": "s3://b/k", "destination": "/opt/ml/processing/in", "app_managed": "true"}]'
    task.poll_interval, task.deferrable, task.max_wait = "2.5", "True", "90"

    definition, options = read_task(task)

    assert (definition.instance_count, definition.volume_size_in_gb, definition.max_runtime_in_seconds) == (2, 50, 600)
    assert definition.instance_preferences == (
        InstancePreference("ml.m5.large", 3),
        InstancePreference("ml.m5.xlarge"),
    )
    assert definition.network_config == NetworkConfig(
        enable_network_isolation=True, encrypt_inter_container_traffic=False
    )
    assert definition.inputs == (ProcessingInput("s3://b/k", "/opt/ml/processing/in", app_managed=True),)
    assert definition.env == {"N": "3", "TEXT": "x"}
    assert definition.arguments == ["--rate", "0.5"]
    assert options == WaitOptions(deferrable=True, poll_interval=2.5, max_wait=90.0)


def test_local_files_are_beside_the_dag_file(task_factory):
    task = task_factory(code="scripts/run.py", inputs=[ProcessingInput("data", "/opt/ml/processing/in")])
    definition, _ = read_task(task)
    folder = Path(task.dag.fileloc).parent
    assert definition.code == str(folder / "scripts/run.py")
    assert definition.inputs[0].source == str(folder / "data")


@pytest.mark.parametrize("code", ["/absolute/run.py", "s3://bucket/run.py", "file:///absolute/run.py"])
def test_code_with_a_place_of_its_own_stays_there(task_factory, code):
    assert read_task(task_factory(code=code))[0].code == code


def test_code_may_be_a_path_object(task_factory):
    assert read_task(task_factory(code=Path("/scripts/run.py")))[0].code == "/scripts/run.py"


def test_outputs_may_be_strings_dicts_and_objects(task_factory):
    task = task_factory(
        outputs=[
            "/opt/ml/processing/a",
            {"source": "/opt/ml/processing/b", "output_name": "b"},
            ProcessingOutput("/opt/ml/processing/c", "s3://bucket/c"),
        ]
    )
    assert read_task(task)[0].outputs == (
        ProcessingOutput("/opt/ml/processing/a"),
        ProcessingOutput("/opt/ml/processing/b", output_name="b"),
        ProcessingOutput("/opt/ml/processing/c", "s3://bucket/c"),
    )


def test_what_a_template_made_of_a_parameter_is_checked_again(task_factory):
    task = task_factory(
        instance_count="{{ n }}", outputs=[ProcessingOutput("/opt/ml/processing/o", None, "{{ name }}")]
    )
    task.instance_count = "many"
    task.outputs = [{"source": "/opt/ml/processing/o", "output_name": "job_arn"}]
    with pytest.raises(DefinitionError) as caught:
        read_task(task)
    assert [problem.parameter for problem in caught.value.problems][:2] == ["instance_count", "outputs[0].output_name"]


@pytest.mark.parametrize(
    ("dag_id", "task_id", "expected"),
    [
        ("daily", "clean", "daily-clean-"),
        ("daily.load_v2", "group.clean", "daily-load-v2-group-clean-"),
        ("d" * 60, "clean", f"{'d' * 24}-clean-"),
        ("daily", "t" * 60, f"daily-{'t' * 39}-"),
        ("täglich", "säubern", "t-glich-s-ubern-"),
        ("_", "_", "processing-job-processing-job-"),
    ],
)
def test_a_job_is_named_after_its_dag_and_task(valid, dag_id, task_id, expected):
    task = ScriptProcessingOperator(task_id=task_id, dag=DAG(dag_id, schedule=None), **valid)
    name = job_name(stem(task.read_definition(), "0123456789ab"), 9999)
    assert name == f"{expected}0123456789ab-9999"
    assert len(name) <= 63


@pytest.mark.parametrize("given", [{"base_job_name": "a-base"}, {"job_name": "a-name"}])
def test_a_name_that_is_given_counts(valid, dag, given):
    task = ScriptProcessingOperator(task_id="task", dag=dag, **valid, **given)
    definition = task.read_definition()
    assert (definition.base_job_name, definition.job_name) == (given.get("base_job_name"), given.get("job_name"))


@pytest.mark.parametrize(("option", "given", "expected"), [("", None, 10.0), ("3", None, 3.0), ("3", 7, 7.0)])
def test_an_option_says_how_often_jobs_are_polled_where_the_dag_file_does_not(
    task_factory, monkeypatch, option, given, expected
):
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__POLL_INTERVAL", option)
    options, problems = task_factory(poll_interval=given).read_wait_options()
    assert (options.poll_interval, problems) == (expected, [])


@pytest.mark.parametrize("option", ["often", "0", "-1", "nan"])
def test_an_option_that_is_no_interval_is_an_error_that_names_it(task_factory, monkeypatch, option):
    task = task_factory()
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__POLL_INTERVAL", option)
    with pytest.raises(ValueError, match=r"\[sm_processing\] poll_interval must be a number of seconds above 0"):
        task.read_wait_options()
