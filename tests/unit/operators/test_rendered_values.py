"""Sources that are nothing: of a task that was skipped, and of templates that gave None or an empty text."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task, task_group
from airflow.serialization.serialized_objects import DagSerialization

from airflow_sm_processing import (
    DefinitionError,
    ProcessingInput,
    ProcessingJobSensor,
    ProcessingOutput,
    S3Input,
    ScriptProcessingOperator,
)
from airflow_sm_processing.processing.validation import definition_problems
from tests.task_parameters import read_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.task_runner import Runner

    TaskFactory = Callable[..., ScriptProcessingOperator]

IN = "/opt/ml/processing/in"
FULL = ProcessingInput("s3://b/full", "/opt/ml/processing/full")
PULL = "{{ ti.xcom_pull('branch', key='train') }}"


@pytest.fixture
def branch(task_factory: TaskFactory) -> ScriptProcessingOperator:
    """A task that may be skipped."""
    outputs = [ProcessingOutput("/opt/ml/processing/out", output_name="train")]
    return task_factory(task_id="branch", outputs=outputs)


def ran(runner: Runner, task_id: str = "branch", index: int = -1, state: str | None = "success") -> None:
    """Let a task have pushed its output, and have ended so."""
    runner.supervisor.xcoms[task_id, index] = {"train": f"s3://b/{task_id}/{index}"}
    runner.supervisor.states[task_id, index] = state


def sources(runner: Runner, made: Any, **instance: int) -> list[Any]:
    return [item.source for item in read_task(runner.rendered(made, **instance))[0].inputs]


def optional(source: Any, **more: Any) -> ProcessingInput:
    return ProcessingInput(source, IN, optional=True, **more)


# An input of a task that may be skipped


@pytest.mark.parametrize(
    "given",
    [
        lambda made: optional(made.output["train"]),
        lambda made: {"source": made.output["train"], "destination": IN, "optional": True},
        lambda made: {"source": made.output["train"], "destination": IN, "optional": "{{ 1 == 1 }}"},
        lambda made: ProcessingInput(s3_input=S3Input(made.output["train"], IN), optional=True),
        lambda made: optional(PULL),
        lambda made: optional("{{ ti.xcom_pull('branch', key='train') }}/part"),
        lambda made: optional(f"{made.output['train']}/part"),
        lambda made: optional("{{ ti.xcom_pull('branch', key='train') or '' }}"),
    ],
)
def test_an_optional_input_is_left_out_if_there_is_nothing(runner, task_factory, branch, given):
    made = task_factory(inputs=[given(branch), FULL])
    assert sources(runner, made) == ["s3://b/full"]
    ran(runner)
    found = sources(runner, made)
    assert found[0].startswith("s3://b/branch/-1")
    assert found[1:] == ["s3://b/full"]


@pytest.mark.parametrize("state", ["skipped", "upstream_failed", "removed", None])
def test_what_a_skipped_task_left_in_xcom_doesnt_count(runner, task_factory, branch, state):
    """It skipped itself after its submission, or ran before somebody cleared it."""
    made = task_factory(inputs=[optional(branch.output["train"])])
    ran(runner, state=state)
    assert sources(runner, made) == []


@pytest.mark.parametrize("state", ["success", "failed", "running"])
def test_a_task_that_ran_counts(runner, task_factory, branch, state):
    made = task_factory(inputs=[optional(branch.output["train"])])
    ran(runner, state=state)
    assert sources(runner, made) == ["s3://b/branch/-1/"]


def test_an_airflow_that_tells_no_states_has_the_xcom_tell(runner, task_factory, branch, monkeypatch):
    made = task_factory(inputs=[optional(branch.output["train"])])
    monkeypatch.delattr("tests.task_runner.Supervisor._states_of")
    assert sources(runner, made) == []
    runner.supervisor.xcoms["branch", -1] = {"train": "s3://b/k"}
    assert sources(runner, made) == ["s3://b/k/"]


def test_it_stays_a_dependency_and_can_be_copied_and_serialised(dag, task_factory, branch):
    task_factory(inputs=[optional(branch.output["train"])])
    twin = copy.deepcopy(dag).get_task("task")
    assert twin.upstream_task_ids == {"branch"}
    serialised = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    assert DagSerialization.from_dict(serialised).get_task("task").upstream_task_ids == {"branch"}
    assert " at 0x" not in json.dumps(serialised)


@pytest.mark.parametrize("way", ["partial", "expand", "expand_kwargs"])
def test_mapped_tasks_have_optional_inputs_too(runner, valid, branch, way):
    inputs = [optional(branch.output["train"]), FULL]
    begin = ScriptProcessingOperator.partial
    if way == "partial":
        made = begin(task_id="mapped", inputs=inputs, **valid).expand(arguments=[["a"]])
    elif way == "expand":
        made = begin(task_id="mapped", **valid).expand(inputs=[inputs])
    else:
        made = begin(task_id="mapped", **valid).expand_kwargs([{"inputs": inputs}])
    assert made.upstream_task_ids == {"branch"}
    assert sources(runner, made, map_index=0) == ["s3://b/full"]
    ran(runner)
    assert sources(runner, made, map_index=0) == ["s3://b/branch/-1/", "s3://b/full"]


def test_of_a_mapped_task_the_instances_count_that_ran(runner, valid, task_factory, dag):
    outputs = [ProcessingOutput("/opt/ml/processing/out", output_name="train")]
    mapped = ScriptProcessingOperator.partial(task_id="mapped", outputs=outputs, **valid).expand(arguments=[["a"]] * 3)
    made = task_factory(inputs=[optional(mapped.output["train"])])
    assert sources(runner, made) == []
    for index, state in enumerate(["success", "skipped", "success"]):
        ran(runner, "mapped", index, state)
    assert sources(runner, made) == ["s3://b/mapped/0/", "s3://b/mapped/2/"]
    for index in range(3):
        ran(runner, "mapped", index, "skipped")
    assert sources(runner, made) == []


@pytest.mark.parametrize(
    ("refer", "expected"),
    [
        (lambda first, _: first.map(_folder), ["s3://b/first/0/sub", "s3://b/first/2/sub"]),
        (lambda first, second: first.concat(second).map(_folder), ["s3://b/first/0/sub", "s3://b/first/2/sub"]),
        (lambda first, second: second.map(_folder).concat(first.map(_folder)), ["s3://b/first/0/sub", "s3://b/first/2/sub"]),
        (lambda first, second: first.zip(second).map(lambda pair: _folder(pair[0])), []),
        (lambda _, second: second.concat(second), []),
    ],
)  # fmt: skip
def test_what_is_made_of_references_is_of_the_instances_that_ran(runner, valid, task_factory, dag, refer, expected):
    """Of two mapped tasks, the second was skipped, and an instance of the first."""
    begin = ScriptProcessingOperator.partial
    first, second = (begin(task_id=name, **valid).expand(arguments=[["a"]] * 3) for name in ("first", "second"))
    for index, state in enumerate(["success", "skipped", "success"]):
        ran(runner, "first", index, state)
        runner.supervisor.xcoms["first", index]["return_value"] = {"train": f"s3://b/first/{index}"}
        runner.supervisor.states["second", index] = "skipped"
    assert sources(runner, task_factory(inputs=[optional(refer(first.output, second.output))])) == expected


def _folder(result: dict[str, str]) -> str:
    return f"{result['train']}/sub"


def test_a_function_gets_none_for_it(runner, valid, branch, dag):
    script = {name: value for name, value in valid.items() if name != "code"}

    @task.sm_processing(**script)
    def function(train: Any, text: Any) -> None: ...

    operator = function(
        ProcessingInput(branch.output["train"], optional=True), ProcessingInput(PULL, optional=True)
    ).operator
    assert operator.upstream_task_ids == {"branch"}
    assert runner.rendered(operator).op_args == [None, None]
    ran(runner)
    assert [item.source for item in runner.rendered(operator).op_args] == ["s3://b/branch/-1/", "s3://b/branch/-1"]


def test_a_function_is_not_called_with_a_source_that_is_nothing(runner, valid, dag):
    script = {name: value for name, value in valid.items() if name != "code"}

    @task.sm_processing(**script)
    def function(train: Any) -> None: ...

    with pytest.raises(DefinitionError, match=r"the template '\{\{ none \}\}' has no value"):
        runner.rendered(function(ProcessingInput("{{ none }}")).operator)


def test_an_optional_input_that_is_there_is_read_as_any_other(runner, task_factory):
    made = task_factory(inputs=[optional("s3://b/{{ ds }}", input_name="data")])
    (item,) = read_task(runner.rendered(made))[0].inputs
    assert (item.source, item.input_name) == ("s3://b/2026-01-02", "data")


def test_of_two_branches_one_may_take_the_others_place(runner, task_factory, branch, valid):
    other = task_factory(task_id="other", outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="train")])
    made = task_factory(inputs=[optional(branch.output["train"]), optional(other.output["train"])])
    ran(runner, "other")
    assert sources(runner, made) == ["s3://b/other/-1/"]
    ran(runner)
    (problem,) = definition_problems(read_task(runner.rendered(made))[0])
    assert problem.rule == "is the container path of inputs[0].destination as well"


def test_whether_it_is_optional_is_true_or_false(task_factory):
    with pytest.raises(DefinitionError, match="must be true or false"):
        task_factory(inputs=[{"source": "s3://b/k", "destination": IN, "optional": "maybe"}])


# Templates that give nothing


@pytest.mark.parametrize(
    ("parameters", "parameter", "template"),
    [
        ({"inputs": [ProcessingInput("{{ none }}", IN)]}, "inputs[0].source", "{{ none }}"),
        ({"inputs": [ProcessingInput("{{ '' }}", IN)]}, "inputs[0].source", "{{ '' }}"),
        ({"inputs": [ProcessingInput("{% if 0 %}x{% endif %}", IN)]}, "inputs[0].source", "{% if 0 %}x{% endif %}"),
        ({"inputs": [ProcessingInput("{{ none }}/a.csv", IN)]}, "inputs[0].source", "{{ none }}/a.csv"),
        ({"inputs": [ProcessingInput("{{ '' }}/a.csv", IN)]}, "inputs[0].source", "{{ '' }}/a.csv"),
        ({"inputs": [ProcessingInput("{{ none }}/{{ ds }}", IN)]}, "inputs[0].source", "{{ none }}/{{ ds }}"),
        ({"inputs": [FULL, {"source": "{{ none }}", "destination": IN}]}, "inputs[1].source", "{{ none }}"),
        ({"inputs": [{"s3_input": {"s3_uri": "{{ none }}", "local_path": IN}}]},
         "inputs[0].s3_input.s3_uri", "{{ none }}"),
        ({"inputs": [ProcessingInput("s3://b/k", "{{ none }}")]}, "inputs[0].destination", "{{ none }}"),
        ({"inputs": [ProcessingInput("s3://b/k", IN, "{{ none }}")]}, "inputs[0].input_name", "{{ none }}"),
        ({"outputs": ["{{ none }}"]}, "outputs[0]", "{{ none }}"),
        ({"outputs": [ProcessingOutput("/opt/ml/processing/o", "{{ '' }}")]}, "outputs[0].destination", "{{ '' }}"),
        ({"code": "{{ none }}"}, "code", "{{ none }}"),
        ({"code": "{{ '' }}"}, "code", "{{ '' }}"),
        ({"role": "{{ none }}"}, "role", "{{ none }}"),
        ({"kms_key": "{{ none }}"}, "kms_key", "{{ none }}"),
        ({"job_name": "{{ none }}"}, "job_name", "{{ none }}"),
        ({"network_config": {"subnets": ["{{ none }}"]}}, "network_config.subnets[0]", "{{ none }}"),
    ],
)  # fmt: skip
def test_a_template_that_gives_nothing_is_named(runner, task_factory, parameters, parameter, template):
    with pytest.raises(DefinitionError) as caught:
        read_task(runner.rendered(task_factory(**parameters)))
    found = {problem.parameter: problem.rule for problem in caught.value.problems}
    assert f"the template {template!r} has no value" in found[parameter]
    assert template in str(caught.value)


def test_a_native_template_that_gives_none_is_named(runner, valid):
    with DAG("a_dag", schedule=None, render_template_as_native_obj=True):
        made = ScriptProcessingOperator(task_id="task", inputs=[ProcessingInput("{{ none }}", IN)], **valid)
    with pytest.raises(DefinitionError, match=r"inputs\[0\].source=None: the template '\{\{ none \}\}' has no value"):
        sources(runner, made)


def test_a_reference_that_gives_none_is_named(runner, task_factory, dag):
    @task
    def upstream() -> None: ...

    with pytest.raises(DefinitionError) as caught:
        sources(runner, task_factory(inputs=[ProcessingInput(upstream(), IN)]))
    (problem,) = caught.value.problems
    assert problem.rule == (
        "the reference to XCom 'return_value' of task upstream has no value; if its upstream task may be skipped, "
        "optional=True leaves the input out then"
    )


@pytest.mark.parametrize(
    ("parameters", "name", "expected"),
    [
        ({"kms_key": "{{ '' }}"}, "kms_key", ""),
        ({"arguments": ["{{ none }}"]}, "arguments", ["None"]),
        ({"env": {"A": "{{ none }}"}}, "env", {"A": "None"}),
        ({"code": "/{{ 'None' }}/x.py"}, "code", "/None/x.py"),
    ],
)
def test_elsewhere_nothing_may_be_meant(runner, task_factory, parameters, name, expected):
    assert getattr(read_task(runner.rendered(task_factory(**parameters)))[0], name) == expected


def test_a_folder_that_is_called_none_in_the_dag_file_is_one(runner, task_factory):
    (source,) = sources(runner, task_factory(inputs=[ProcessingInput("None", IN)]))
    assert source.endswith("/None")


@pytest.mark.parametrize("name", ["job_name", "job_arn", "job_name_prefix"])
def test_a_sensor_waits_for_no_job_called_none(runner, dag, name):
    sensor = ProcessingJobSensor(task_id="sensor", **{name: "{{ none }}"})
    with pytest.raises(DefinitionError, match=rf"{name}='None': the template '\{{\{{ none \}}\}}' has no value"):
        runner.rendered(sensor)._check_which()


def test_in_a_mapped_group_the_branch_of_the_same_index_counts(runner, valid, dag):
    outputs = [ProcessingOutput("/opt/ml/processing/out", output_name="train")]

    @task_group
    def group(letter: Any) -> None:
        first = ScriptProcessingOperator(task_id="first", outputs=outputs, arguments=letter, **valid)
        ScriptProcessingOperator(task_id="join", inputs=[optional(first.output["train"]), FULL], **valid)

    group.expand(letter=[["a"], ["b"]])
    ran(runner, "group.first", 0, "skipped")
    ran(runner, "group.first", 1, "success")
    join = dag.get_task("group.join")
    assert sources(runner, join, map_index=0) == ["s3://b/full"]
