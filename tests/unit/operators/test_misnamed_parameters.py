"""The names that the amazon provider, the SageMaker SDK and AWS's API have for what is called otherwise here."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
from airflow.sdk import DAG, BaseOperator, task

from airflow_sm_processing import DefinitionError, ProcessingJobSensor, ProcessingOperator, ScriptProcessingOperator
from airflow_sm_processing.operators import base
from airflow_sm_processing.operators.parameters import misnamed_parameters
from airflow_sm_processing.processing import Processor

if TYPE_CHECKING:
    from collections.abc import Callable

PROVIDERS: dict[str, Any] = {
    "config": {"Environment": {"TOKEN": "a-secret-of-ours"}},
    "print_log": True,
    "check_interval": 60,
    "max_attempts": 90,
    "max_ingestion_time": 3600,
    "action_if_job_exists": "timestamp",
    "output_files_to_xcom": [{"output_name": "out", "file_name": "m.json", "result_name": "metrics"}],
    "region": "eu-west-1",
}
OWN_CLASSES = [cls for cls in ProcessingOperator.__mro__ if cls.__module__.startswith("airflow_sm_processing")]


def parameters_of(*functions: Callable[..., Any]) -> set[str]:
    return {name for function in functions for name in inspect.signature(function).parameters} - {"self", "kwargs"}


def test_every_parameter_of_the_providers_operator_is_ours_or_has_an_error_that_names_ours():
    theirs = {
        name
        for cls in SageMakerProcessingOperator.__mro__
        if issubclass(cls, BaseOperator) and cls is not BaseOperator and "__init__" in vars(cls)
        for name in parameters_of(vars(cls)["__init__"])
    }
    theirs -= parameters_of(BaseOperator.__init__)
    ours = parameters_of(*(cls.__init__ for cls in OWN_CLASSES))
    assert {*misnamed_parameters(ProcessingOperator, dict.fromkeys(theirs))} == theirs - ours


def test_every_parameter_of_the_sdks_processor_is_ours_or_has_an_error_that_names_ours():
    ours = parameters_of(*(cls.__init__ for cls in OWN_CLASSES))
    others = parameters_of(Processor.__init__, Processor.run) - ours
    assert others == {"wait", "sagemaker_session"}
    assert {*misnamed_parameters(ProcessingOperator, dict.fromkeys(others))} == others


def test_all_of_them_are_in_one_error_which_shows_no_secret(dag):
    with pytest.raises(DefinitionError) as raised:
        ProcessingOperator(task_id="task", dag=dag, **PROVIDERS)
    assert [item.parameter for item in raised.value.problems] == [*PROVIDERS]
    message = str(raised.value)
    assert message.startswith("8 problems in the definition of task task:")
    assert "check_interval=60: is the amazon provider's name: here it is poll_interval" in message
    assert "a-secret-of-ours" not in message


def test_they_are_beside_whatever_else_is_wrong(task_factory):
    with pytest.raises(DefinitionError) as raised:
        task_factory(wait=False, check_interval=5, instance_count="two", inputs=[3])
    named = [item.parameter for item in raised.value.problems]
    assert named == ["wait", "check_interval", "instance_count", "inputs[0]"]


@pytest.mark.parametrize("given", [{"config": {}}, {"framework_version": "1.4-2"}, {"AppSpecification": {}}])
def test_what_was_given_by_another_name_is_not_missing(dag, given):
    with pytest.raises(DefinitionError) as raised:
        ScriptProcessingOperator(task_id="task", dag=dag, **given)
    assert [item.parameter for item in raised.value.problems] == [*given]


def test_a_mapped_task_says_it_when_the_file_is_parsed(dag, valid):
    made = {
        "partial": lambda: ScriptProcessingOperator.partial(task_id="a", check_interval=3, print_log=False),
        "expand": lambda: ScriptProcessingOperator.partial(task_id="b", **valid).expand(config=[{}], wait=[True]),
        "expand_kwargs": lambda: ScriptProcessingOperator.partial(task_id="c", **valid).expand_kwargs(
            [{"config": {}}, {"wait": True}]
        ),
    }
    with dag:
        found = {}
        for how, make in made.items():
            with pytest.raises(DefinitionError) as raised:
                make()
            found[how] = [item.parameter for item in raised.value.problems]
    names = ["config", "wait"]
    assert found == {"partial": ["check_interval", "print_log"], "expand": names, "expand_kwargs": names}


def test_a_function_says_it_called_or_mapped(dag, valid):
    parameters = {name: value for name, value in valid.items() if name != "code"}

    @task.sm_processing(**parameters, check_interval=3, max_attempts=2)
    def function(x):
        return x

    with dag:
        for make in (lambda: function(1), lambda: function.expand(x=[1]), lambda: function.expand_kwargs([{"x": 1}])):
            with pytest.raises(DefinitionError) as raised:
                make()
            assert [item.parameter for item in raised.value.problems] == ["check_interval", "max_attempts"]


def test_a_sensor_names_its_own(dag):
    given = {"check_interval": 5, "max_ingestion_time": 60, "print_log": True, "region": "eu-west-1"}
    for make in (ProcessingJobSensor, ProcessingJobSensor.partial):
        with dag, pytest.raises(DefinitionError) as raised:
            make(task_id="sensor", **given)
        assert [item.parameter for item in raised.value.problems][:4] == [*given]
        assert "here it is timeout" in str(raised.value)


def test_a_sensor_says_what_else_is_wrong_in_the_same_error(dag):
    with pytest.raises(DefinitionError) as raised:
        ProcessingJobSensor(task_id="sensor", dag=dag, check_interval=5)
    assert [item.parameter for item in raised.value.problems] == ["check_interval", "job_name"]
    with pytest.raises(DefinitionError) as raised:
        ProcessingJobSensor(task_id="other", dag=dag, ProcessingJobName="job")
    assert [item.parameter for item in raised.value.problems] == ["ProcessingJobName"]


def test_default_args_may_hold_what_is_for_other_operators(valid):
    with DAG("a_dag", schedule=None, default_args={**valid, **PROVIDERS, "wait": False}):
        made = ScriptProcessingOperator(task_id="task")
        ProcessingJobSensor(task_id="sensor", job_name="job")
        mapped = ScriptProcessingOperator.partial(task_id="mapped").expand(arguments=[["a"]])
    assert (made.poll_interval, made.wait_for_completion) == (None, True)
    assert mapped.partial_kwargs.keys().isdisjoint(PROVIDERS)


MISSPELT = {
    "instance_typ": "instance_type",
    "instancecount": "instance_count",
    "volume_size": "volume_size_in_gb",
    "deferable": "deferrable",
    "image_url": "image_uri",
    "retires": "retries",
    "output": "outputs",
    "max_runtime": "max_runtime_in_seconds",
    "commands": "command",
    "frobnicate": None,
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_misspelt_parameter_has_an_error_that_names_the_one_that_was_meant(task_factory, name, meant):
    with pytest.raises(DefinitionError) as raised:
        task_factory(**{name: "some text"})
    (problem,) = raised.value.problems
    assert problem.parameter == name
    assert problem.rule.partition(": ")[2] == (f"did you mean {meant}?" if meant else "")


def test_a_misspelt_parameter_is_not_missing_too(dag, valid):
    given = {("rol" if name == "role" else name): value for name, value in valid.items()}
    with pytest.raises(DefinitionError) as raised:
        ScriptProcessingOperator(task_id="task", dag=dag, **given)
    assert [item.parameter for item in raised.value.problems] == ["rol"]


def test_a_misspelt_environment_is_not_shown(task_factory):
    with pytest.raises(DefinitionError) as raised:
        task_factory(env_={"TOKEN": "a-secret-of-ours"})
    assert "a-secret-of-ours" not in str(raised.value)


def test_a_misspelt_parameter_of_a_mapped_task_and_of_a_sensor(dag, valid):
    makers = (
        lambda: ScriptProcessingOperator.partial(task_id="a", instance_typ="ml.m5.large"),
        lambda: ScriptProcessingOperator.partial(task_id="b", **valid).expand(argument=[["x"]]),
        lambda: ProcessingJobSensor(task_id="c", job_name="job", mod="reschedule"),
    )
    for make, meant in zip(makers, ("instance_type", "arguments", "mode"), strict=True):
        with dag, pytest.raises(DefinitionError, match=f"did you mean {meant}"):
            make()


def test_a_misspelt_name_in_default_args_is_a_warning_for_other_tasks_may_have_it(valid):
    defaults = {**valid, "deferable": True, "queue_of_others": "x"}
    says_so = pytest.warns(UserWarning, match="default_args has 'deferable'.*did you mean 'deferrable'")
    with DAG("a_dag", schedule=None, default_args=defaults), says_so as warned:
        made = ScriptProcessingOperator(task_id="task")
    assert made.deferrable is None
    assert len(warned) == 1


def test_editors_know_each_parameter():
    """The dicts of keyword arguments repeat signatures: of this package, with their types, and of Airflow."""
    tree = ast.parse(inspect.getsource(base))
    fields = {
        node.name: {
            item.target.id: ast.unparse(item.annotation) for item in node.body if isinstance(item, ast.AnnAssign)
        }
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Parameters")
    }
    (init,) = (
        item
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == "BaseProcessingOperator"
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.name == "__init__"
    )
    assert fields["ProcessingParameters"] == {item.arg: ast.unparse(item.annotation) for item in init.args.kwonlyargs}
    assert parameters_of(BaseOperator.__init__) <= {*fields["AirflowParameters"]}
