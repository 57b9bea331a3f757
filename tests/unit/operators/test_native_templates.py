"""Text reaches the job as it was written: in a native DAG, in any other, and where a template made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_sm_processing import (
    DefinitionError,
    NetworkConfig,
    ProcessingInput,
    ProcessingJobSensor,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from tests.task_parameters import read_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.task_runner import Runner

PATH = "/opt/ml/processing/in"
KEEP = "was text of which a native DAG made a number that is written otherwise"

LITERALS = [
    "1.10", "2024_01", "007", "00", "0x10", "1e5", "12_34", "+5", "-0", ".5", "1_0.0", "0b1", "1j", "5 # five", "(1)",
    "[1, 2]", "{'a': 1}", '{"a": 1}', "1, 2", "True", "None", "...", "'quoted'", '"quoted"', "b'x'",
    "ends with a line\n", "carriage\r\nreturn", "}} {", "%}", "ünï\U0001f600", " 1", "1 ", "1\n",
]  # fmt: skip


def a_dag(*, native: bool = True, **parameters: Any) -> DAG:
    return DAG("a_dag", schedule=None, render_template_as_native_obj=native, **parameters)


@pytest.fixture
def native(valid: dict[str, Any]) -> Callable[..., ScriptProcessingOperator]:
    """Makes tasks in a native DAG."""

    def make(**parameters: Any) -> ScriptProcessingOperator:
        with a_dag(user_defined_macros={"given": parameters.pop("given", None)}):
            return ScriptProcessingOperator(**{"task_id": "task", **valid, **parameters})

    return make


def problems_of(task: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        read_task(task)
    return [(problem.parameter, problem.rule) for problem in caught.value.problems]


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("text", LITERALS)
def test_text_without_a_template_is_what_its_author_wrote(
    runner: Runner, valid: dict[str, Any], text: str, is_native: bool
):
    with a_dag(native=is_native):
        task = ScriptProcessingOperator(
            task_id="task",
            **{
                **valid,
                "arguments": [text, "--x", text],
                "command": (text,),
                "env": {"A": text},
                "tags": [{"Key": "k", "Value": text}],
                "experiment_config": {"RunName": text},
                "role": text,
                "base_job_name": text,
                "kms_key": text,
                "inputs": [ProcessingInput("s3://b/k", PATH, input_name=text)],
                "outputs": [ProcessingOutput("/opt/ml/processing/out", "s3://b/o", s3_upload_mode=text)],
                "network_config": NetworkConfig(subnets=[text], security_group_ids=[text]),
                "default_bucket_prefix": text,
            },
        )
    rendered = runner.rendered(task)
    definition, _ = read_task(rendered)
    assert (definition.arguments, definition.command, definition.env) == ([text, "--x", text], [text], {"A": text})
    assert definition.tags == [{"Key": "k", "Value": text}]
    assert definition.experiment_config == {"RunName": text}
    assert {definition.role, definition.base_job_name, definition.kms_key} == {text}
    assert {definition.inputs[0].input_name, definition.outputs[0].s3_upload_mode} == {text}
    assert definition.network_config == NetworkConfig(subnets=[text], security_group_ids=[text])
    assert rendered.connection.default_bucket_prefix == text


@pytest.mark.parametrize("way", ["partial", "expand", "expand_kwargs"])
def test_so_it_is_in_mapped_tasks(runner: Runner, valid: dict[str, Any], way: str):
    begin, given = ScriptProcessingOperator.partial, {"arguments": ["1.10", "007"], "env": {"A": "2024_01"}}
    with a_dag():
        if way == "partial":
            task = begin(task_id="task", **valid, **given).expand(base_job_name=["1_0"])
        elif way == "expand":
            task = begin(task_id="task", **valid, base_job_name="1_0").expand(
                arguments=[given["arguments"]], env=[given["env"]]
            )
        else:
            task = begin(task_id="task", **valid, base_job_name="1_0").expand_kwargs([given])
    definition, _ = read_task(runner.rendered(task, map_index=0))
    assert (definition.arguments, definition.env) == (["1.10", "007"], {"A": "2024_01"})
    assert definition.base_job_name == "1_0"


@pytest.mark.parametrize("text", ["1.10", "2024_01", "0x10", "1e5", "+5", ".5", "1.", "(1)", "1 ", "1E5", "00"])
def test_a_number_that_could_have_been_another_text_is_an_error(runner: Runner, native: Any, text: str):
    template = "{{ given }}"
    task = native(
        given=text,
        arguments=["--v", template],
        env={"A": template},
        tags={"k": template},
        experiment_config={"RunName": template},
        base_job_name=template,
        inputs=[ProcessingInput("s3://b/k", PATH, input_name=template)],
        network_config=NetworkConfig(subnets=[template]),
    )
    with pytest.raises(DefinitionError) as caught:
        read_task(runner.rendered(task))
    found = caught.value.problems
    assert [problem.parameter for problem in found] == [
        "arguments[1]", "base_job_name", "env['A']", "tags['k']", "network_config.subnets[0]",
        "experiment_config['RunName']", "inputs[0].input_name",
    ]  # fmt: skip
    assert all(problem.rule.startswith(KEEP) for problem in found)
    assert {str(problem.value) for problem in found} == {text, f"(hidden, {len(text)} characters)"}


@pytest.mark.parametrize(
    "template",
    ["{{ given | tojson }}", "'{{ given }}'", '"{{ given }}"', "{{ given[:1] }}{{ given[1:] | tojson }}x"],
)
@pytest.mark.parametrize("text", ["1.10", "2024_01", "0x10"])
def test_the_ways_that_the_error_names_keep_the_text(runner: Runner, native: Any, template: str, text: str):
    definition, _ = read_task(runner.rendered(native(given=text, arguments=[template], env={"A": template})))
    expected = f'{text[:1]}"{text[1:]}"x' if template.endswith("x") else text
    assert (definition.arguments, definition.env) == ([expected], {"A": expected})


@pytest.mark.parametrize(("template", "text"), [("{{ given | float }}", "1.1"), ("{{ given[:1] | int }}", "1")])
def test_the_ways_that_the_error_names_give_the_number(runner: Runner, native: Any, template: str, text: str):
    assert read_task(runner.rendered(native(given="1.10", arguments=[template])))[0].arguments == [text]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ ds }}", "2026-01-02"),
        ("{{ ds_nodash }}", "20260102"),
        ("v{{ given }}", "v1.10"),
        ("--v={{ given }}", "--v=1.10"),
        ("{{ 0.5 }}", "0.5"),
        ("{{ 1.10 }}", "1.1"),
        ("{{ 3 }}", "3"),
        ("{{ true }}", "True"),
        ("{{ 'True' }}", "True"),
        ("{{ 'a' }}", "a"),
        ("{# a note #}a", "a"),
        ("{% if true %}a{% endif %}", "a"),
    ],
)
def test_what_has_one_text_is_taken(runner: Runner, native: Any, template: str, text: str):
    definition, _ = read_task(runner.rendered(native(given="1.10", arguments=[template], env={"A": template})))
    assert (definition.arguments, definition.env) == ([text], {"A": text})


@pytest.mark.parametrize("template", ["[{{ given }}, 2]", "({{ given }}, 2)", "['a', {{ given }}]"])
def test_a_number_in_a_list_that_a_template_wrote_is_an_error_too(runner: Runner, native: Any, template: str):
    (problem,) = problems_of(runner.rendered(native(given="1.10", arguments=template)))
    assert problem[0] in {"arguments[0]", "arguments[1]"}
    assert problem[1].startswith(KEEP)


def test_a_number_in_a_dict_that_a_template_wrote_is_an_error_too(runner: Runner, native: Any):
    task = native(given="1.10", env="{'A': {{ given }}, 'B': 2}")
    assert [name for name, _ in problems_of(runner.rendered(task))] == ["env['A']"]
    task = native(given="1.10", env="{'A': 'x', {{ given }}: 'y'}")
    assert [name for name, _ in problems_of(runner.rendered(task))] == ["env"]


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ({"arguments": "{{ given }}"}, ["1.10", "\U0001f600"]),
        ({"arguments": "{{ given | tojson }}"}, ["1.10", "\U0001f600"]),
        ({"arguments": ["{{ given[0] | tojson }}", "{{ given[1] | tojson }}"]}, ["1.10", "\U0001f600"]),
    ],
)
def test_text_in_what_a_template_makes_is_text(runner: Runner, native: Any, parameters: Any, given: Any):
    assert read_task(runner.rendered(native(given=given, **parameters)))[0].arguments == given


def test_numbers_that_are_wanted_are_taken_by_value(runner: Runner, native: Any):
    task = native(
        given="0x2",
        instance_count="{{ given }}",
        volume_size_in_gb="{{ '3_0' }}",
        poll_interval="{{ '1e1' }}",
        deferrable="{{ 'True' }}",
        network_config={"enable_network_isolation": "{{ 'False' }}"},
        inputs=[{"source": "s3://b/k", "destination": PATH, "app_managed": "{{ true }}"}],
    )
    definition, modes = read_task(runner.rendered(task))
    assert (definition.instance_count, definition.volume_size_in_gb) == (2, 30)
    assert (type(definition.instance_count), type(modes.poll_interval)) == (int, float)
    assert (modes.poll_interval, modes.deferrable) == (10.0, True)
    assert definition.network_config == NetworkConfig(enable_network_isolation=False)
    assert definition.inputs[0].app_managed is True


def test_none_is_an_error_that_says_so(runner: Runner, native: Any):
    task = native(arguments=["{{ none }}", "{{ 'None' }}"], env={"A": "{{ none }}"})
    rule = "is None, which has no text: leave it out"
    assert problems_of(runner.rendered(task)) == [("arguments[0]", rule), ("arguments[1]", rule), ("env['A']", rule)]


def test_a_list_where_text_is_wanted_is_an_error(runner: Runner, native: Any):
    (problem,) = problems_of(runner.rendered(native(given="1, 2", arguments=["{{ given }}"])))
    assert problem == ("arguments[0]", "must be a string, a number, a boolean or a path, not tuple")


def test_the_value_of_a_variable_is_not_quoted_in_the_error(runner: Runner, native: Any):
    with pytest.raises(DefinitionError) as caught:
        read_task(runner.rendered(native(given="12345.67890", env={"A": "{{ given }}"})))
    assert "12345" not in str(caught.value)


def test_a_template_is_evaluated_once(runner: Runner, native: Any):
    calls: list[int] = []
    read_task(runner.rendered(native(given=lambda: calls.append(1) or "a", arguments=["{{ given() }}"])))
    assert calls == [1]


def test_marks_that_a_dag_has_changed_begin_templates(runner: Runner, valid: dict[str, Any]):
    with a_dag(jinja_environment_kwargs={"variable_start_string": "[[", "variable_end_string": "]]"}):
        task = ScriptProcessingOperator(task_id="task", **valid, arguments=["[[ 1 + 1 ]]", "{{ 1 }}", "1.10"])
    assert runner.rendered(task).arguments == [2, "{{ 1 }}", "1.10"]


def test_a_text_that_names_a_template_file_is_read(runner: Runner, valid: dict[str, Any], tmp_path: Any):
    class WithFiles(ScriptProcessingOperator):
        template_ext = (".txt",)

    (tmp_path / "a.txt").write_text("--v={{ 1 + 1 }}")
    with a_dag(template_searchpath=[str(tmp_path)]):
        task = WithFiles(task_id="task", **valid, arguments=["a.txt", "1.10"])
    assert runner.rendered(task).arguments == ["--v=2", "1.10"]


def test_the_fields_that_airflow_shows_are_plain_json(runner: Runner, native: Any):
    from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

    rendered = runner.rendered(native(given="1.10", arguments=["{{ given }}", "{{ '0x10' }}", "1.10"]))
    assert _serialize_rendered_fields(rendered)["arguments"] == [1.1, 16, "1.10"]


@pytest.mark.parametrize("parameter", ["job_name", "job_name_prefix"])
def test_a_sensors_text_is_what_its_author_wrote(runner: Runner, parameter: str):
    with a_dag():
        task = ProcessingJobSensor(task_id="task", **{parameter: "1_0"}, region_name="0x1", aws_conn_id="007")
    rendered = runner.rendered(task)
    assert getattr(rendered._lookup({"dag_run": _Run()}), parameter) == "1_0"
    assert (rendered.connection.region_name, rendered.connection.aws_conn_id) == ("0x1", "007")


@pytest.mark.parametrize("parameter", ["job_name", "job_name_prefix", "job_arn"])
def test_a_sensors_number_that_could_have_been_another_text_is_an_error(runner: Runner, parameter: str):
    with a_dag():
        task = ProcessingJobSensor(task_id="task", **{parameter: "{{ '1_0' }}"})
    with pytest.raises(DefinitionError, match=KEEP):
        runner.rendered(task)._lookup({"dag_run": _Run()})


def test_a_sensors_name_may_be_a_number(runner: Runner):
    with a_dag():
        task = ProcessingJobSensor(task_id="task", job_name_prefix="{{ ds_nodash }}", since="{{ ds_nodash }}")
    sought = runner.rendered(task)._lookup({"dag_run": _Run()})
    assert (sought.job_name_prefix, sought.created_after) == ("20260102", 1767312000.0)


class _Run:
    """Stands for a DAG run whose times don't matter."""

    from datetime import datetime, timezone

    run_after = datetime(2026, 1, 2, tzinfo=timezone.utc)


def test_json_text_as_an_argument(runner: Runner, native: Any):
    definition, _ = read_task(runner.rendered(native(given={"a": [1.1]}, arguments=["{{ given | tojson | tojson }}"])))
    assert definition.arguments == ['{"a": [1.1]}']
