"""The mistakes of a first day: each is told when the DAG file is parsed, in a line, with what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task as tasks

from airflow_sm_processing import (
    DefinitionError,
    ProcessingInput,
    ProcessingJobSensor,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

IN = "/opt/ml/processing/in"
OUT = ProcessingOutput("/opt/ml/processing/clean", output_name="clean")

SCRIPTS: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt parameter": ({"instance_typ": "ml.m5.large"}, "did you mean instance_type?"),
    "a parameter of the amazon provider": ({"print_log": True}, "here it is logs"),
    "a parameter of the SDK": ({"wait": False}, "here it is wait_for_completion"),
    "an argument of the API": ({"RoleArn": "R"}, "here it is role"),
    "EC2's name of an instance": ({"instance_type": "m5.xlarge"}, "did you mean ml.m5.xlarge?"),
    "a list of instances": ({"instance_type": ["ml.m5.large"]}, "must be a string"),
    "no instances": ({"instance_count": 0}, "must be at least 1"),
    "no instances, as text": ({"instance_count": "0"}, "instance_count='0': must be at least 1"),
    "words for a number": ({"volume_size_in_gb": "30GB"}, "must be a whole number"),
    "a time with a unit": ({"max_wait": "1h"}, "must be a number of seconds, or a timedelta"),
    "a command that is no list": ({"command": "python3"}, "must be a list"),
    "inputs that are no list": ({"inputs": "s3://b/x"}, "must be a list"),
    "a path outside SageMaker's folder": ({"inputs": [ProcessingInput("s3://b/x", "/data")]}, "/opt/ml/processing"),
    "two inputs of one name": (
        {"inputs": [ProcessingInput("s3://b/x", IN, "a"), ProcessingInput("s3://b/y", f"{IN}2", "a")]},
        "must be unique",
    ),
    "an environment that is a list": ({"env": ["A=1"]}, "must be a dict"),
    "two ways to say the image": ({"image": "sklearn:1.4-2"}, "set one of them"),
    "a template without its end": ({"arguments": ["{{ ds "]}, "a template that Jinja can't read"),
    "results of a job that isn't awaited": (
        {"outputs": [OUT], "result_files": {"m": "clean/m.json"}, "wait_for_completion": False},
        "set wait_for_completion=True",
    ),
    "a result of an output that isn't there": ({"outputs": [OUT], "result_files": {"m": "claen/m.json"}}, "clean"),
    "an output with a name of the task's own": (
        {"outputs": [ProcessingOutput("/opt/ml/processing/o", output_name="return_value")]},
        "is an XCom key of the task itself",
    ),
    "an unknown way to go on": ({"on_existing_job": "continue"}, "must be one of reattach, fail, new"),
    "a stop that is none": ({"on_stopped": "ignore"}, "must be one of fail, skip, succeed"),
}


def told(make: Callable[[], object]) -> str:
    """Return the last line of an error that is short, and one."""
    with pytest.raises(DefinitionError) as raised:
        make()
    lines = str(raised.value).splitlines()
    assert len(raised.value.problems) == 1, lines
    assert len(lines) <= 3
    assert raised.value.__cause__ is None
    assert lines[0].startswith("1 problem in the definition of ")
    return lines[-1]


@pytest.mark.parametrize("mistake", SCRIPTS)
def test_a_mistake_in_a_tasks_parameters(task_factory, mistake):
    parameters, says = SCRIPTS[mistake]
    assert says in told(lambda: task_factory(**parameters))


def test_a_mistake_about_another_tasks_output(dag, task_factory):
    clean = task_factory(task_id="clean", outputs=[OUT])
    says = told(lambda: task_factory(task_id="next", inputs=[ProcessingInput(clean.output["claen"], IN)]))
    assert says.endswith("task clean has no output 'claen'; it has 'clean'")


def test_a_mistake_in_a_script(task_factory, tmp_path):
    (tmp_path / "run.py").write_text("def f(:\n")
    assert "doesn't compile: line 1" in told(lambda: task_factory(code=f"{tmp_path}/run.py"))


def test_a_mistake_in_a_mapped_task(dag, valid):
    partial = ScriptProcessingOperator.partial(task_id="mapped", dag=dag, **valid)
    assert "did you mean arguments?" in told(lambda: partial.expand(argument=[["a"]]))


def test_a_mistake_in_a_functions_task(dag, valid):
    parameters = {name: value for name, value in valid.items() if name != "code"}

    @tasks.sm_processing(**parameters, requirement=["pandas"])
    def function() -> None:
        return None

    with dag:
        assert "did you mean requirements?" in told(function)


def test_a_script_given_to_the_operator_of_images(dag, valid):
    assert "is no parameter of ProcessingOperator" in told(lambda: ProcessingOperator(task_id="t", dag=dag, **valid))


def test_a_sensor_of_no_job(dag):
    says = told(lambda: ProcessingJobSensor(task_id="sensor", dag=dag))
    assert "exactly one of job_name, job_arn, job_name_prefix is required" in says
