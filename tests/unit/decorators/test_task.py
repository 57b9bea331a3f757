"""`@task.sm_processing` in a DAG file."""

from __future__ import annotations

import json
import warnings

import pytest
from airflow.sdk import DAG, Asset, AssetAlias, XComArg, setup, task, task_group
from airflow.serialization.serialized_objects import DagSerialization

from airflow_sm_processing import DefinitionError, ProcessingInput, ProcessingOutput
from airflow_sm_processing.decorators import sm_processing_task
from airflow_sm_processing.decorators.container.function import load_function
from airflow_sm_processing.decorators.operator import read_requirements
from airflow_sm_processing.decorators.source import FunctionSource
from airflow_sm_processing.operators.parameters import WaitOptions

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"


def parsed(dag: DAG) -> DAG:
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def test_it_is_airflows_own_decorator_by_another_way(dag, valid):
    @task.sm_processing(**valid)
    def use(value):
        """Say what the task does."""
        return value

    made = use(1)
    assert type(task.sm_processing) is type(sm_processing_task)
    assert isinstance(made, XComArg)
    operator = made.operator
    assert (operator.task_type, operator.operator_name) == ("FunctionProcessingOperator", "@task.sm_processing")
    assert (operator.doc_md, operator.instance_count) == ("Say what the task does.", 1)


def test_default_args_serve_a_bare_decorator_and_arguments_of_functions(valid):
    with DAG("a_dag", schedule=None, default_args={**valid, "size": 3, "instance_count": 2, "retries": 4}):

        @task.sm_processing
        def use(size):
            return size

        operator = use().operator
    assert (operator.role, operator.op_kwargs, operator.instance_count, operator.retries) == (ROLE, {"size": 3}, 2, 4)


def test_a_result_is_waited_for_whatever_default_args_say(valid):
    with DAG("a_dag", schedule=None, default_args={**valid, "wait_for_completion": False, "code": "other.py"}):

        @task.sm_processing
        def use():
            return 1

        operator = use().operator
    assert operator.wait_for_completion is True
    assert operator.definition_parameters()["script_name"] == "run.py"


def test_override_and_groups_name_tasks(dag, valid):
    @sm_processing_task(**valid)
    def use(value):
        return value

    @task_group
    def group():
        return use.override(task_id="other", outputs=[ProcessingOutput("/opt/ml/processing/o")], pool="p")(1)

    made = group()
    use(2)
    use(3)
    assert sorted(dag.task_ids) == ["group.other", "use", "use__1"]
    assert (made.operator.pool, made.operator.outputs) == ("p", [{"source": "/opt/ml/processing/o"}])


def test_a_reference_inside_an_input_makes_the_dependency(dag, valid):
    @sm_processing_task(outputs=[ProcessingOutput("/opt/ml/processing/o", output_name="o")], **valid)
    def first():
        return 1

    @sm_processing_task(**valid)
    def use(one, rest=None):
        return [one, rest]

    made = first()
    source = ProcessingInput(made["o"])
    tasks = [
        use(source),
        use(1, {"deep": [source]}),
        use.partial(one=source).expand(rest=[1, 2]),
        use.expand(one=[source, ProcessingInput("s3://b/k")]),
        use.expand(one=[{"plain": made["o"]}]),
        use.expand_kwargs([{"one": source}, {"one": 1}]),
        use.expand(one=made),
    ]
    assert [made.operator.upstream_task_ids for made in tasks] == [{"first"}] * len(tasks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = parsed(dag)
    assert again.get_task("use__3").get_parse_time_mapped_ti_count() == 2
    assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(dag)
    assert " at 0x" not in json.dumps(DagSerialization.to_dict(dag))


def test_everything_that_is_wrong_is_told_at_once(dag, valid):
    @sm_processing_task(
        **valid,
        poll_interval=-1,
        requirements="pandas",
        max_xcom_bytes=-1,
        skip_on_exit_code=0,
        fail_on_exit_code="1",
    )
    def use(value, default=object()):  # noqa: B008
        return [value, default]

    with pytest.raises(DefinitionError) as caught:
        use({"password": {1, object}})
    assert [problem.parameter for problem in caught.value.problems] == [
        "poll_interval",
        "skip_on_exit_code",
        "requirements",
        "max_xcom_bytes",
        "fail_on_exit_code",
        "argument default",
        "argument value['password']{…}",
    ]


def test_an_outcome_of_ones_own_is_refused(dag, valid):
    @sm_processing_task(outputs=[ProcessingOutput("/opt/ml/processing/o", output_name="outcome")], **valid)
    def use():
        return 1

    with pytest.raises(DefinitionError, match="outcome"):
        use()


@pytest.mark.parametrize("given", [["numpy=={{ 1 + 1 }}"], '["numpy=={{ 1 + 1 }}"]'])
def test_requirements_may_be_templates(dag, valid, runner, given):
    @sm_processing_task(requirements=given, **valid)
    def use():
        return 1

    assert read_requirements(runner.rendered(use().operator).requirements) == ["numpy==2"]


def test_arguments_are_templates_but_what_another_task_returned_is_none(dag, valid, runner):
    @task
    def give():
        return {"deep": ["{{ ds }}"]}

    @task
    def several():
        return [{"deep": ["{{ ds }}"]}]

    @sm_processing_task(**valid)
    def use(own, given):
        return [own, given]

    given = give()
    plain, mapped = use({"deep": ["{{ ds }}"]}, given), use.partial(own="{{ ds }}").expand(given=[1, "{{ ds }}"])
    over = use.partial(own="{{ ds }}").expand(given=several())
    for each in (given, over.operator.op_kwargs_expand_input.value["given"]):
        runner.run(each.operator)
    assert runner.rendered(plain.operator).op_args == [{"deep": ["2026-01-02"]}, {"deep": ["{{ ds }}"]}]
    assert runner.rendered(mapped.operator, map_index=1).op_kwargs == {"own": "2026-01-02", "given": "2026-01-02"}
    assert runner.rendered(over.operator, map_index=0).op_kwargs == {
        "own": "2026-01-02",
        "given": {"deep": ["{{ ds }}"]},
    }


def test_only_a_worker_ends_it(dag, valid, capsys):
    @sm_processing_task(end_from_trigger=True, **valid)
    def use():
        return 1

    assert use().operator.ends_from_trigger(WaitOptions(end_from_trigger=True)) is False
    assert "it returns what its function returned" in capsys.readouterr().out


def test_its_inputs_are_named_after_its_arguments(dag, valid):
    @sm_processing_task(inputs=[ProcessingInput("s3://b/own", "/opt/ml/processing/own")], **valid)
    def use(*rest, **more):
        return [rest, more]

    made = use(
        ProcessingInput("s3://b/1"), [ProcessingInput("s3://b/2", input_name="mine")], x=ProcessingInput("s3://b/3")
    )
    assert made.operator.definition_parameters()["inputs"] == [
        {"source": "s3://b/own", "destination": "/opt/ml/processing/own"},
        {"source": "s3://b/1", "destination": "/opt/ml/processing/arguments/rest-0", "input_name": "argument-rest-0"},
        {"source": "s3://b/2", "destination": "/opt/ml/processing/arguments/rest-1-0", "input_name": "mine"},
        {"source": "s3://b/3", "destination": "/opt/ml/processing/arguments/more-x", "input_name": "argument-more-x"},
    ]


def test_assets_are_read_and_emitted_mapped_or_not(dag, valid):
    table = Asset("s3://tables/wine/")

    @sm_processing_task(outputs=["/opt/ml/processing/o"], emit_assets=True, **valid)
    def use(table, size=1):
        return [table, size]

    @task_group
    def group():
        return use.partial(size=2).expand(table=[ProcessingInput("s3://b/k")])

    plain, mapped = use({"deep": ProcessingInput(table)}).operator, group().operator
    assert (plain.inlets, plain.outlets) == ([table], [AssetAlias("a_dag.use")])
    assert plain.definition_parameters()["inputs"][0]["source"] == "s3://tables/wine/"
    assert mapped.outlets == [AssetAlias("a_dag.group.use")]


def test_setup_teardown_and_conditions_stay_behind(dag, valid):
    @setup
    @task.run_if(lambda context: True)
    @task.sm_processing(**valid)
    def use():
        return 1

    source = FunctionSource.of(use.function)
    plain = {"function": "use", "source": source.text, "file": "f.py", "first_line": 1, "future": []}
    assert (use().operator.is_setup, load_function(plain)()) == (True, 1)


def native_call(valid, runner, value, **parameters):
    """Return the function's task of a native DAG, rendered, and the call that its container gets."""
    with DAG("a_dag", schedule=None, render_template_as_native_obj=True):

        @task.sm_processing(**{**valid, **parameters})
        def use(value):
            return value

        operator = use(value).operator
    rendered = runner.rendered(operator)
    return rendered, rendered._call({})[0].arguments["value"]


@pytest.mark.parametrize("value", ["1.10", "2024_01", "0x10", "[1, 2]", "True", "ends with a line\n"])
def test_text_in_a_native_dag_is_what_its_author_wrote(valid, runner, value):
    given = {"a": [value, (value,)]}
    rendered, encoded = native_call(valid, runner, given, env={"A": value}, base_job_name="1_0")
    assert encoded == {"a": [value, {"$": "tuple", "value": [value]}]}
    assert (rendered.env, rendered.base_job_name) == ({"A": value}, "1_0")


@pytest.mark.parametrize("value", ["{{ '1.10' }}", ["{{ '2024_01' }}"], {"a": "{{ '0x10' }}"}, "[1, {{ '1.10' }}]"])
def test_a_number_that_could_have_been_another_text_is_an_error(valid, runner, value):
    with pytest.raises(DefinitionError, match=r"argument value.*was text of which a native DAG made a number"):
        native_call(valid, runner, value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("{{ '1.10' | tojson }}", "1.10"),
        ("'{{ '1.10' }}'", "1.10"),
        ("{{ '1.10' | float }}", 1.1),
        ("{{ ds_nodash }}", 20260102),
        ("{{ 0.5 }}", 0.5),
        ("{{ true }}", True),
    ],
)
def test_a_template_is_taken_by_value(valid, runner, value, encoded):
    assert native_call(valid, runner, value)[1] == encoded
