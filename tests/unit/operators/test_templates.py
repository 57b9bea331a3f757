"""What templates, references and mapping make of parameters, through Airflow's own rendering."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_sm_processing import (
    DefinitionError,
    NetworkConfig,
    ProcessingInput,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing.values import WireObject
from tests.task_parameters import read_task

if TYPE_CHECKING:
    from tests.task_runner import Runner

TEMPLATE = "s3://bucket/{{ 1 + 1 }}"
PATH = "/opt/ml/processing/in"
PLAIN = {"source": TEMPLATE, "destination": PATH}
FOLDER = {**PLAIN, "source": f"{TEMPLATE}/"}
"""What the reference to an output makes of it, where it is an input."""
RESULT = {"job_name": "a-job", "outputs": {"train": TEMPLATE}, "exit_message": TEMPLATE}

TaskFactory = Callable[..., ScriptProcessingOperator]


@pytest.fixture
def upstream(task_factory: TaskFactory, runner: Runner) -> ScriptProcessingOperator:
    """A task that has run, and left text in XCom that looks like a template."""
    outputs = [ProcessingOutput("/opt/ml/processing/out", output_name="train")]
    runner.supervisor.xcoms["upstream", -1] = {"return_value": RESULT, "train": TEMPLATE}
    return task_factory(task_id="upstream", outputs=outputs)


def leave(runner: Runner, result: Any) -> None:
    """Let the upstream task have returned something else."""
    runner.supervisor.xcoms["upstream", -1]["return_value"] = result


def test_templates_are_rendered_at_any_depth(runner, task_factory):
    task = task_factory(
        inputs=[ProcessingInput(TEMPLATE, PATH)], outputs=[ProcessingOutput("/opt/{{ 3 }}")], env={"A": "{{ 4 }}"}
    )
    rendered = runner.rendered(task)
    assert rendered.inputs == [{"source": "s3://bucket/2", "destination": PATH}]
    assert (rendered.outputs, rendered.env) == ([{"source": "/opt/3"}], {"A": "4"})


def test_what_upstream_wrote_is_data_and_no_template(runner, task_factory, upstream):
    task = task_factory(inputs=[ProcessingInput(upstream.output["train"], PATH)], arguments=[upstream.output["train"]])
    rendered = runner.rendered(task)
    assert (rendered.inputs, rendered.arguments) == ([FOLDER], [TEMPLATE])


@pytest.mark.parametrize(
    ("parameter", "element"),
    [
        ("inputs", [PLAIN]),
        ("arguments", [TEMPLATE]),
        ("command", [TEMPLATE]),
        ("command", (TEMPLATE,)),
        ("code", TEMPLATE),
        ("env", {"A": TEMPLATE}),
        ("outputs", [TEMPLATE]),
        ("network_config", {"subnets": [TEMPLATE]}),
    ],
)
def test_what_is_mapped_over_from_upstream_is_data_and_no_template(runner, valid, upstream, parameter, element):
    from airflow.sdk.serde import serialize

    leave(runner, serialize([element]))
    partial = {name: value for name, value in valid.items() if name != parameter}
    mapped = ScriptProcessingOperator.partial(task_id="mapped", **partial).expand(**{parameter: upstream.output})
    assert getattr(runner.rendered(mapped, map_index=0), parameter) == element


@pytest.mark.parametrize("way", ["partial", "expand", "expand_kwargs"])
def test_a_reference_inside_a_mapped_task_is_data_and_no_template(runner, valid, upstream, way):
    source = [ProcessingInput(upstream.output["train"], PATH)]
    begin = ScriptProcessingOperator.partial
    if way == "partial":
        mapped = begin(task_id="mapped", inputs=source, **valid).expand(arguments=[["a"]])
    elif way == "expand":
        mapped = begin(task_id="mapped", **valid).expand(inputs=[source])
    else:
        mapped = begin(task_id="mapped", **valid).expand_kwargs([{"inputs": source}])
    assert runner.rendered(mapped, map_index=0).inputs == [FOLDER]


def test_expand_kwargs_over_an_xcom_is_rendered_as_by_every_operator_of_airflow(runner, valid, upstream):
    """Airflow's ListOfDictsExpandInput takes what is in such dicts for the DAG author's own text."""
    from airflow.providers.standard.operators.bash import BashOperator

    leave(runner, [{"env": {"A": TEMPLATE}}])
    ours = ScriptProcessingOperator.partial(task_id="ours", **valid).expand_kwargs(upstream.output)
    airflows = BashOperator.partial(task_id="airflows", bash_command="true").expand_kwargs(upstream.output)
    assert runner.rendered(ours, map_index=0).env == runner.rendered(airflows, map_index=0).env


def test_literals_that_are_mapped_over_are_rendered(runner, valid, dag):
    mapped = ScriptProcessingOperator.partial(task_id="mapped", **valid).expand(
        inputs=[[ProcessingInput(TEMPLATE, PATH)]]
    )
    assert runner.rendered(mapped, map_index=0).inputs == [{"source": "s3://bucket/2", "destination": PATH}]


def test_default_args_of_the_dag_reach_mapped_tasks(runner, valid):
    with DAG("a_dag", schedule=None, default_args={"network_config": NetworkConfig(subnets=[TEMPLATE]), **valid}):
        mapped = ScriptProcessingOperator.partial(task_id="mapped").expand(arguments=[["a"]])
    rendered = runner.rendered(mapped, map_index=0)
    assert (rendered.role, rendered.network_config) == (valid["role"], {"subnets": ["s3://bucket/2"]})


@pytest.mark.parametrize("parameter", ["inputs", "arguments"])
def test_a_whole_result_where_a_part_was_meant_is_named(runner, task_factory, upstream, parameter):
    task = task_factory(**{parameter: upstream.output})
    with pytest.raises(DefinitionError) as caught:
        read_task(runner.rendered(task))
    assert caught.value.problems == (Problem(parameter, RESULT, "must be a list"),)


def test_a_whole_result_gives_its_parts_in_a_template(runner, task_factory, upstream):
    source = "{{ ti.xcom_pull('upstream')['outputs']['train'] }}"
    rendered = runner.rendered(task_factory(inputs=[ProcessingInput(source, PATH)]))
    assert rendered.inputs == [PLAIN]


def test_a_native_dag_keeps_the_kinds_of_values(runner, valid):
    with DAG("a_dag", schedule=None, render_template_as_native_obj=True):
        parameters = {
            "instance_count": "{{ 1 + 1 }}",
            "arguments": "{{ ['--rate', 0.5] }}",
            "inputs": "{{ [{'source': 's3://b/k', 'destination': '/opt/ml/processing/in'}] }}",
            "deferrable": "{{ 1 == 1 }}",
            "verify": "{{ false }}",
            "botocore_config": "{{ {'connect_timeout': 5} }}",
            "poll_interval": "{{ 2 }}",
        }
        task = ScriptProcessingOperator(task_id="task", **{**valid, **parameters})
    rendered = runner.rendered(task)
    assert {name: getattr(rendered, name) for name in parameters} == {
        "instance_count": 2,
        "arguments": ["--rate", 0.5],
        "inputs": [{"source": "s3://b/k", "destination": PATH}],
        "deferrable": True,
        "verify": False,
        "botocore_config": {"connect_timeout": 5},
        "poll_interval": 2,
    }
    definition, modes = read_task(rendered)
    assert definition.inputs == (ProcessingInput("s3://b/k", PATH),)
    assert (definition.instance_count, definition.arguments, modes.deferrable) == (2, ["--rate", "0.5"], True)


def test_a_callable_may_make_definition_objects(runner, task_factory):
    """Airflow calls a parameter that is callable, when it renders the others."""
    task = task_factory(
        inputs=lambda context, jinja_env: [ProcessingInput(f"s3://bucket/{context['ds']}", PATH)],
        network_config=lambda context, jinja_env: NetworkConfig(subnets=["a"]),
    )
    definition, _ = read_task(runner.rendered(task))
    assert definition.inputs == (ProcessingInput("s3://bucket/2026-01-02", PATH),)
    assert definition.network_config == NetworkConfig(subnets=["a"])


@pytest.mark.parametrize(
    ("parameters", "connection"),
    [
        ({}, AwsConnection()),
        ({"verify": "{{ 'False' }}"}, AwsConnection(verify=False)),
        ({"verify": "{{ 'true' }}"}, AwsConnection(verify=True)),
        ({"verify": "/etc/{{ 'ca' }}.pem"}, AwsConnection(verify="/etc/ca.pem")),
        ({"aws_conn_id": "aws_{{ dag.dag_id }}"}, AwsConnection(aws_conn_id="aws_a_dag")),
        ({"aws_conn_id": None, "region_name": "{{ 'eu' }}"}, AwsConnection(aws_conn_id=None, region_name="eu")),
        ({"botocore_config": "{{ {'retries': 5} | tojson }}"}, AwsConnection(botocore_config={"retries": 5})),
        ({"default_bucket": "b-{{ ds }}", "default_bucket_prefix": "{{ ds }}"},
         AwsConnection(default_bucket="b-2026-01-02", default_bucket_prefix="2026-01-02")),
    ],
)  # fmt: skip
def test_the_connection_is_what_the_templates_say(runner, task_factory, parameters, connection):
    assert runner.rendered(task_factory(**parameters)).connection == connection


def test_an_operator_can_be_copied_and_pickled(task_factory, upstream):
    task = task_factory(inputs=[ProcessingInput(upstream.output["train"], PATH)], network_config=NetworkConfig(True))  # noqa: FBT003  # the SDK's first parameter
    for twin in (copy.copy(task), copy.deepcopy(task)):
        assert {name: getattr(twin, name) for name in task.template_fields if name != "inputs"} == {
            name: getattr(task, name) for name in task.template_fields if name != "inputs"
        }
        assert twin.inputs[0]["destination"] == PATH
        assert twin.inputs[0]["source"].key == "train"
    plain = task_factory(task_id="plain", inputs=[ProcessingInput("s3://b/k", PATH)])
    again = pickle.loads(pickle.dumps(plain))
    assert (again.inputs, again.task_id) == (plain.inputs, "plain")


def test_a_dag_keeps_its_tasks_when_it_is_copied(dag, task_factory, upstream):
    task_factory(task_id="downstream", inputs=[ProcessingInput(upstream.output["train"], PATH)])
    twin = copy.deepcopy(dag)
    assert twin.get_task("downstream").upstream_task_ids == {"upstream"}
    assert twin.get_task("downstream").inputs[0]["destination"] == PATH


def test_definitions_are_read_whole_from_dicts_of_dicts(runner, task_factory):
    """Nested objects become dicts, and objects again."""
    from airflow_sm_processing import AthenaDatasetDefinition, DatasetDefinition

    dataset = DatasetDefinition(
        local_path=PATH,
        athena_dataset_definition=AthenaDatasetDefinition(
            "catalog", "database", "select {{ 5 }}", "s3://b/o", "PARQUET"
        ),
    )
    rendered = runner.rendered(task_factory(inputs=[ProcessingInput(dataset_definition=dataset)]))
    assert rendered.inputs[0]["dataset_definition"]["athena_dataset_definition"]["query_string"] == "select 5"
    (item,) = read_task(rendered)[0].inputs
    assert isinstance(item.dataset_definition, WireObject)
    assert item.dataset_definition.to_boto() == {
        **dataset.to_boto(),
        "AthenaDatasetDefinition": {**dataset.to_boto()["AthenaDatasetDefinition"], "QueryString": "select 5"},
    }


def test_the_sdks_two_operators_take_their_own_parameters_only(dag, valid):
    with pytest.raises(DefinitionError, match="is no parameter of ProcessingOperator"):
        ProcessingOperator(task_id="task", **valid)


STRUCTURES = [
    ({"network_config": "{{ params.net | tojson }}"}, {"network_config": NetworkConfig(subnets=["s"])}),
    ({"network_config": NetworkConfig(subnets="{{ params.net.subnets | tojson }}")},
     {"network_config": NetworkConfig(subnets=["s"])}),
    ({"network_config": {"security_group_ids": "{{ params.net.subnets | tojson }}"}},
     {"network_config": NetworkConfig(security_group_ids=["s"])}),
    ({"env": "{{ params.env | tojson }}"}, {"env": {"A": "1", "B": "True"}}),
    ({"tags": "{{ params.env | tojson }}"}, {"tags": [{"Key": "A", "Value": "1"}, {"Key": "B", "Value": "True"}]}),
    ({"inputs": [ProcessingInput(s3_input="{{ params.s3 | tojson }}")]},
     {"inputs": (ProcessingInput(s3_input={"s3_uri": "s3://b/k", "local_path": PATH}),)}),
    ({"outputs": ["{{ params.out | tojson }}"]}, {"outputs": (ProcessingOutput("/opt/ml/processing/out"),)}),
]  # fmt: skip
GIVEN = {
    "net": {"subnets": ["s"]},
    "env": {"A": 1, "B": True},
    "s3": {"s3_uri": "s3://b/k", "local_path": PATH},
    "out": {"source": "/opt/ml/processing/out"},
}


@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize(("parameters", "fields"), STRUCTURES)
def test_structures_may_come_from_variables(runner, valid, parameters, fields, is_native):
    with DAG("a_dag", schedule=None, params=GIVEN, render_template_as_native_obj=is_native):
        task = ScriptProcessingOperator(task_id="task", **valid, **parameters)
    definition, _ = read_task(runner.rendered(task))
    assert {name: getattr(definition, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"network_config": "{{ params.net }}"}, "network_config"),
        ({"network_config": NetworkConfig(subnets="{{ params.net.subnets }}")}, "network_config.subnets"),
        ({"env": "{{ params.env }}"}, "env"),
        ({"tags": "{{ params.env }}"}, "tags"),
        ({"inputs": [ProcessingInput(s3_input="{{ params.s3 }}")]}, "inputs[0].s3_input"),
        ({"outputs": ["{{ params.out }}"]}, "outputs[0]"),
        ({"arguments": "{{ params.net.subnets }}"}, "arguments"),
        ({"result_files": "{{ {'a': 'b/c'} }}"}, "result_files"),
    ],
)
def test_pythons_text_of_a_structure_says_tojson(runner, valid, parameters, parameter):
    with DAG("a_dag", schedule=None, params=GIVEN):
        task = ScriptProcessingOperator(task_id="task", **valid, **parameters)
    with pytest.raises(DefinitionError) as caught:
        read_task(runner.rendered(task))
    (problem,) = caught.value.problems
    assert (problem.parameter, problem.rule.endswith("write {{ … | tojson }}")) == (parameter, True), problem


def test_a_botocore_config_that_is_pythons_text_says_tojson(runner, task_factory):
    rendered = runner.rendered(task_factory(botocore_config="{{ {'retries': 5} }}"))
    with pytest.raises(DefinitionError, match=r"write \{\{ … \| tojson \}\}"):
        _ = rendered.connection


def test_result_files_may_be_json(runner, task_factory):
    task = task_factory(
        outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="o")],
        result_files="{{ {'a': 'o/a.json', 'b': 'absent/b.json'} | tojson }}",
    )
    with pytest.raises(DefinitionError) as caught:
        read_task(runner.rendered(task))
    assert [problem.parameter for problem in caught.value.problems] == ["result_files['b']"]
