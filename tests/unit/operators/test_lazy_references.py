"""What Airflow resolves lazily: outputs of mapped tasks, and references with `.map()`, `.zip()` and `.concat()`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, XComArg, task

from airflow_sm_processing import (
    DefinitionError,
    InstancePreference,
    NetworkConfig,
    ProcessingInput,
    ProcessingJobSensor,
    ProcessingOutput,
    S3Input,
    ScriptProcessingOperator,
)
from airflow_sm_processing.operators.templating import resolved
from tests.task_parameters import read_task

if TYPE_CHECKING:
    from airflow_sm_processing.processing.definition import JobDefinition
    from tests.task_runner import Runner

IN = "/opt/ml/processing/in"
TaskFactory = Callable[..., ScriptProcessingOperator]


@pytest.fixture
def mapped(dag: DAG, valid: dict[str, Any], runner: Runner) -> Any:
    """A mapped task of which two instances have run."""
    for index, letter in enumerate("ab"):
        result = {"outputs": {"o": f"s3://b/{letter}"}}
        runner.supervisor.xcoms["mapped", index] = {"o": f"s3://b/{letter}", "return_value": result}
    outputs = [ProcessingOutput("/opt/ml/processing/o", output_name="o")]
    return ScriptProcessingOperator.partial(task_id="mapped", outputs=outputs, **valid).expand(arguments=[["a"], ["b"]])


def read(runner: Runner, made: Any, **instance: int) -> JobDefinition:
    """Return the definition that a task would run."""
    return read_task(runner.rendered(made, **instance))[0]


def as_input(result: dict[str, Any]) -> dict[str, str]:
    uri = result["outputs"]["o"]
    return {"source": uri, "destination": f"{IN}/{uri[-1]}"}


def as_object(result: dict[str, Any]) -> ProcessingInput:
    return ProcessingInput(**as_input(result))


def test_an_output_of_a_mapped_task_is_a_list_of_arguments(runner, task_factory, mapped):
    made = task_factory(arguments=mapped.output["o"])
    assert read(runner, made).arguments == ["s3://b/a", "s3://b/b"]
    assert runner.rendered(made).arguments == ["s3://b/a", "s3://b/b"]  # as Airflow's UI shows it


@pytest.mark.parametrize("function", [as_input, as_object])
def test_inputs_are_made_of_a_mapped_tasks_results(runner, task_factory, mapped, function):
    inputs = read(runner, task_factory(inputs=mapped.output.map(function))).inputs
    assert inputs == (ProcessingInput("s3://b/a", f"{IN}/a"), ProcessingInput("s3://b/b", f"{IN}/b"))


def test_references_are_concatenated_and_zipped(runner, task_factory, mapped, dag):
    @task
    def names() -> list[str]:
        return []

    runner.supervisor.xcoms["names", -1] = {"return_value": ["x", "y"]}
    uris = mapped.output.map(lambda result: result["outputs"]["o"])
    named = names()
    assert read(runner, task_factory(arguments=named.concat(uris))).arguments == ["x", "y", "s3://b/a", "s3://b/b"]
    pairs = named.zip(uris).map(lambda pair: {"source": pair[1], "destination": f"{IN}/{pair[0]}"})
    inputs = read(runner, task_factory(task_id="zipped", inputs=pairs)).inputs
    assert inputs == (ProcessingInput("s3://b/a", f"{IN}/x"), ProcessingInput("s3://b/b", f"{IN}/y"))


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("network_config", lambda made: NetworkConfig(subnets=made), NetworkConfig(subnets=["s3://b/a", "s3://b/b"])),
        ("command", lambda made: made, ["s3://b/a", "s3://b/b"]),
        ("outputs", lambda made: made, tuple(map(ProcessingOutput, ("s3://b/a", "s3://b/b")))),
        (
            "instance_preferences",
            lambda made: made,
            (InstancePreference("s3://b/a"), InstancePreference("s3://b/b")),
        ),
    ],
)
def test_every_list_may_be_what_a_mapped_task_left(runner, task_factory, mapped, parameter, value, expected):
    more = {"instance_type": None} if parameter == "instance_preferences" else {}
    made = task_factory(**{parameter: value(mapped.output["o"]), **more})
    assert getattr(read(runner, made), parameter) == expected


def test_tags_are_made_of_a_mapped_tasks_results(runner, task_factory, mapped):
    tags = mapped.output.map(lambda result: {"Key": result["outputs"]["o"][-1], "Value": "x"})
    assert read(runner, task_factory(tags=tags)).tags == [{"Key": "a", "Value": "x"}, {"Key": "b", "Value": "x"}]


def test_names_to_mask_may_be_what_a_mapped_task_left(runner, task_factory, mapped):
    env = {"s3://b/a": "1", "s3://b/b": "2"}
    rendered = runner.rendered(task_factory(env=env, mask_env=mapped.output["o"]))
    assert rendered.mask_env == ["s3://b/a", "s3://b/b"]


@pytest.mark.parametrize("way", ["partial", "expand", "expand_kwargs"])
def test_a_mapped_task_takes_them_too(runner, valid, mapped, way):
    begin = ScriptProcessingOperator.partial
    if way == "partial":
        made = begin(task_id="next", arguments=mapped.output["o"], **valid).expand(env=[{"A": "1"}])
    elif way == "expand":
        made = begin(task_id="next", **valid).expand(arguments=[mapped.output["o"]])
    else:
        made = begin(task_id="next", **valid).expand_kwargs([{"arguments": mapped.output["o"]}])
    assert read(runner, made, map_index=0).arguments == ["s3://b/a", "s3://b/b"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            lambda made: ProcessingInput(made, IN, "parts"),
            (ProcessingInput("s3://b/a/", f"{IN}/0", "parts-0"), ProcessingInput("s3://b/b/", f"{IN}/1", "parts-1")),
        ),
        (
            lambda made: {"source": made, "destination": f"{IN}/", "s3_data_distribution_type": "ShardedByS3Key"},
            tuple(
                ProcessingInput(f"s3://b/{letter}/", f"{IN}/{index}", s3_data_distribution_type="ShardedByS3Key")
                for index, letter in enumerate("ab")
            ),
        ),
        (
            lambda made: ProcessingInput(s3_input=S3Input(made, IN), input_name="parts"),
            tuple(
                ProcessingInput(s3_input=S3Input(f"s3://b/{letter}/", f"{IN}/{index}"), input_name=f"parts-{index}")
                for index, letter in enumerate("ab")
            ),
        ),
    ],
)
def test_a_source_that_is_a_list_becomes_numbered_inputs(runner, task_factory, mapped, given, expected):
    made = task_factory(inputs=[given(mapped.output["o"])])
    assert made.upstream_task_ids == {"mapped"}
    assert read(runner, made).inputs == expected


def test_a_mapped_task_has_such_inputs_too(runner, valid, mapped):
    source = [ProcessingInput(mapped.output["o"], IN)]
    partial = ScriptProcessingOperator.partial(task_id="in_partial", inputs=source, **valid).expand(arguments=[["a"]])
    expand = ScriptProcessingOperator.partial(task_id="in_expand", **valid).expand(inputs=[source])
    for made in (partial, expand):
        inputs = read(runner, made, map_index=0).inputs
        assert [item.destination for item in inputs] == [f"{IN}/0", f"{IN}/1"]


def test_a_native_template_may_give_a_list_of_sources(runner, valid, mapped):
    with DAG("a_dag", schedule=None, render_template_as_native_obj=True):
        source = "{{ ['s3://b/a', 's3://b/b'] }}"
        made = ScriptProcessingOperator(task_id="task", inputs=[ProcessingInput(source, IN)], **valid)
    assert [item.source for item in read(runner, made).inputs] == ["s3://b/a", "s3://b/b"]


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (lambda made: made.output, "name an output of the upstream task, such as task.output['train']"),
        (lambda made: made.output["job_arn"], "is an empty list: no upstream task has returned a URI"),
    ],
)
def test_a_list_that_names_no_places_is_an_error(runner, task_factory, mapped, source, rule):
    made = task_factory(inputs=[ProcessingInput(source(mapped), IN)])
    with pytest.raises(DefinitionError) as caught:
        read(runner, made)
    (problem,) = caught.value.problems
    assert problem.parameter == "inputs[0].source"
    assert rule in problem.rule


def test_a_template_may_write_a_list_of_sources_as_json(runner, task_factory, mapped):
    pulled = "ti.xcom_pull('mapped', key='o', map_indexes=[0, 1])"
    made = task_factory(inputs=[ProcessingInput(f"{{{{ {pulled} | list | tojson }}}}", IN)])
    assert [(item.source, item.destination) for item in read(runner, made).inputs] == [
        ("s3://b/a", f"{IN}/0"),
        ("s3://b/b", f"{IN}/1"),
    ]
    with pytest.raises(DefinitionError, match=r"inputs\[0\].source=.*this is Python's own text of one: .* tojson"):
        read(runner, task_factory(task_id="other", inputs=[ProcessingInput(f"{{{{ {pulled} | list }}}}", IN)]))


def test_a_folder_whose_name_is_a_list_of_numbers_is_one(runner, task_factory):
    (item,) = read(runner, task_factory(inputs=[ProcessingInput("[1]", IN)])).inputs
    assert str(item.source).endswith("/[1]")


def test_lists_inside_arguments_are_named(runner, task_factory, mapped):
    made = task_factory(env={"URIS": mapped.output["o"]})
    assert runner.rendered(made).env == {"URIS": ["s3://b/a", "s3://b/b"]}


def test_a_function_takes_them(runner, valid, mapped, dag):
    script = {name: value for name, value in valid.items() if name != "code"}

    @task.sm_processing(**script)
    def function(uris: Any, results: Any, folder: Any) -> None: ...

    rendered = runner.rendered(
        function(mapped.output["o"], mapped.output.map(as_input), ProcessingInput(mapped.output["o"])).operator
    )
    assert rendered.op_args[0] == ["s3://b/a", "s3://b/b"]
    assert rendered.op_args[1] == [as_input({"outputs": {"o": f"s3://b/{letter}"}}) for letter in "ab"]
    inputs = read_task(rendered)[0].inputs
    assert [(item.source, item.destination) for item in inputs] == [
        ("s3://b/a/", "/opt/ml/processing/arguments/folder/0"),
        ("s3://b/b/", "/opt/ml/processing/arguments/folder/1"),
    ]


def test_a_sensor_says_that_it_waits_for_one_job(runner, mapped, dag):
    sensor = ProcessingJobSensor(task_id="sensor", job_name=mapped.output["o"])
    with pytest.raises(DefinitionError, match=r"is a list, and a sensor waits for one job: map it over them"):
        runner.rendered(sensor)._check_which()


def test_a_reference_stays_one_before_the_run(task_factory, mapped):
    assert isinstance(task_factory(arguments=mapped.output["o"]).arguments, XComArg)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (deque([1, 2]), [1, 2]),
        (range(2), [0, 1]),
        (iter("ab"), ["a", "b"]),
        ({"a": 1}.values(), [1]),
        (MappingProxyType({"a": range(1)}), {"a": [0]}),
        ((1, range(1)), (1, [0])),
        ("text", "text"),
        (b"bytes", b"bytes"),
        ({"a"}, {"a"}),
        (None, None),
    ],
)
def test_plain_values(value, plain):
    assert resolved(value) == plain


@pytest.mark.parametrize("value", [[1, {"a": (2,)}], {"a": [1]}, (1, [2])])
def test_what_is_plain_already_is_left_as_it_is(value):
    assert resolved(value) is value
