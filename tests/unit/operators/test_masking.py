"""What Airflow shows of a task, its rendered templates first of all, has no value of `env` unless the user says so."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import MaskSecret

from airflow_sm_processing import DefinitionError, ProcessingInput, ScriptProcessingOperator
from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.parameters import trigger_mask
from tests.task_parameters import read_task
from tests.task_runner import Runner, Supervisor, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    TaskFactory = Callable[..., ScriptProcessingOperator]

WORD, OTHER = "correct-horse", "battery-staple"
ENV = {"LOGIN": WORD, "REGION": OTHER}


@pytest.fixture
def runner() -> Iterator[Runner]:
    reset_secrets_masker()
    with installed(Supervisor()) as runner:
        yield runner
    reset_secrets_masker()


def shown(task: Any) -> dict[str, Any]:
    """Return a rendered task's fields as Airflow stores and shows them."""
    return task_runner._serialize_rendered_fields(task)


def masked_in_trigger(task: Any) -> bool | list[str]:
    """Return what a rendered task's trigger is told to hide."""
    return trigger_mask(task.mask_env, task.secrets)


@pytest.mark.parametrize("mask_env", [True, "true", "{{ true }}", None, "", ["LOGIN", "REGION"], '["LOGIN", "REGION"]'])
def test_rendered_templates_show_no_value(runner: Runner, task_factory: TaskFactory, mask_env: Any):
    task = runner.rendered(task_factory(env=ENV, mask_env=mask_env, arguments=["--login", f"me:{WORD}"]))
    assert shown(task)["env"] == {"LOGIN": "***", "REGION": "***"}
    assert shown(task)["arguments"] == ["--login", "me:***"]
    assert task.env == ENV


@pytest.mark.parametrize("mask_env", [["LOGIN"], "LOGIN", "{{ ['LOGIN'] | tojson }}", ("LOGIN",)])
def test_of_the_names_in_mask_env_alone_the_values_are_hidden(runner: Runner, task_factory: TaskFactory, mask_env: Any):
    task = runner.rendered(task_factory(env=ENV, mask_env=mask_env))
    assert shown(task)["env"] == {"LOGIN": "***", "REGION": OTHER}
    assert task.secrets.hide(f"{WORD} {OTHER}") == f"*** {OTHER}"
    assert masked_in_trigger(task) == ["LOGIN"]


@pytest.mark.parametrize("mask_env", [False, "False", [], "{{ false }}"])
def test_everything_shows_if_the_user_says_so(runner: Runner, task_factory: TaskFactory, mask_env: Any):
    task = runner.rendered(task_factory(env=ENV, mask_env=mask_env))
    assert shown(task)["env"] == ENV
    assert (task.secrets.hide(WORD), masked_in_trigger(task)) == (WORD, False)


@pytest.mark.parametrize("template", ["{{ 'correct' }}-horse", "{{ '{' }}{ braces }}"])
def test_what_a_template_gives_is_hidden(runner: Runner, task_factory: TaskFactory, template: str):
    task = task_factory(env={"LOGIN": template})
    assert shown(runner.rendered(task))["env"] == {"LOGIN": "***"}


def test_what_an_environment_in_json_has_is_hidden(runner: Runner, task_factory: TaskFactory):
    task = runner.rendered(task_factory(env="{{ '" + json.dumps(ENV) + "' }}", mask_env=["LOGIN"]))
    assert shown(task)["env"] == json.dumps({"LOGIN": "***", "REGION": OTHER})
    assert masked_in_trigger(task) == ["LOGIN"]


def test_what_is_no_environment_is_hidden_whole_and_in_the_error(runner: Runner, task_factory: TaskFactory):
    task = runner.rendered(task_factory(env="{{ 'LOGIN=' }}correct-horse"))
    assert shown(task)["env"] == "***"
    with pytest.raises(DefinitionError, match=r"env=\(hidden, 19 characters\): must be a dict, or the JSON of one$"):
        read_task(task)


def test_a_mapped_task_hides_the_values_of_its_own(runner: Runner, dag: DAG, valid: dict[str, Any]):
    mapped = ScriptProcessingOperator.partial(task_id="mapped", **valid).expand(env=[ENV, {"LOGIN": "tr0ub4dor"}])
    assert shown(runner.rendered(mapped, map_index=0))["env"] == {"LOGIN": "***", "REGION": "***"}
    assert shown(runner.rendered(mapped, map_index=1))["env"] == {"LOGIN": "***"}


def test_numbers_truth_values_and_short_texts_are_passed_over(runner: Runner, task_factory: TaskFactory):
    plain = {"EPOCHS": "100000", "RATE": 0.25, "DEBUG": "false", "STAGE": "prod"}
    task = runner.rendered(task_factory(env=plain))
    assert shown(task)["env"] == plain
    assert masked_in_trigger(task) is False
    assert not [said for said in runner.supervisor.said if isinstance(said, MaskSecret)]


def test_airflow_masks_the_values_in_the_tasks_process_and_in_its_supervisor(runner: Runner, task_factory: TaskFactory):
    runner.rendered(task_factory(env=ENV))
    assert redact(f"a line with {WORD} and {OTHER}") == "a line with *** and ***"
    told = [said.value for said in runner.supervisor.said if isinstance(said, MaskSecret)]
    assert [set(values) for values in told] == [{WORD, OTHER}] * len(told)
    assert told


def test_a_rendering_that_fails_shows_no_value_that_stands_beside_it(
    runner: Runner, task_factory: TaskFactory, caplog: pytest.LogCaptureFixture
):
    task = task_factory(env={"LOGIN": WORD, "WRONG": "{{ 1 / 0 }}"})
    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
        runner.rendered(task)
    assert WORD not in caplog.text


def test_a_presigned_url_shows_without_its_query_wherever_it_stands(runner: Runner, task_factory: TaskFactory):
    url, query = "https://bucket.s3.amazonaws.com/key", "X-Amz-Credential=AKIA&X-Amz-Signature=0123"
    given = f"{{{{ '{url}?{query}' }}}}"
    task = runner.rendered(
        task_factory(
            inputs=[ProcessingInput(given, "/opt/ml/processing/in")],
            arguments=[f"--from={url}?{query}"],
            mask_env=False,
        )
    )
    assert shown(task)["inputs"] == [{"source": f"{url}?***", "destination": "/opt/ml/processing/in"}]
    assert shown(task)["arguments"] == [f"--from={url}?***"]
    assert task.inputs[0]["source"] == f"{url}?{query}"


@pytest.mark.parametrize(
    ("mask_env", "value", "rule"),
    [
        (3, 3, "must be true, false or a list of names of variables in env"),
        ([3], [3], "must be true, false or a list of names of variables in env"),
        (["LOGIN", "REGOIN"], "REGOIN", "isn't a variable in env; env has LOGIN, REGION"),
        ("ture", "ture", "isn't a variable in env; env has LOGIN, REGION"),
    ],
)
def test_a_mask_that_would_leave_a_value_unhidden_is_an_error(
    runner: Runner, task_factory: TaskFactory, mask_env: Any, value: Any, rule: str
):
    with pytest.raises(DefinitionError) as at_parse_time:
        task_factory(env=ENV, mask_env=mask_env)
    task = runner.rendered(task_factory(task_id="another", env=ENV))
    task.mask_env = mask_env
    with pytest.raises(DefinitionError) as at_run_time:
        read_task(task)
    assert at_parse_time.value.problems == at_run_time.value.problems == (Problem("mask_env", value, rule),)


def test_a_mask_that_cannot_be_read_hides_everything_meanwhile(runner: Runner, task_factory: TaskFactory):
    task = task_factory(env=ENV, mask_env="{{ 3 }}")
    task.render_template_as_native_obj = True
    assert shown(runner.rendered(task))["env"] == {"LOGIN": "***", "REGION": "***"}


def test_a_mask_for_many_tasks_bears_one_without_an_environment(task_factory: TaskFactory):
    assert masked_in_trigger(task_factory(mask_env=["LOGIN"])) is False


def test_a_name_may_come_from_a_template(runner: Runner, task_factory: TaskFactory):
    task = runner.rendered(task_factory(env={"LOGIN": "correct-horse"}, mask_env=["{{ 'LOGIN' }}"]))
    assert masked_in_trigger(task) == ["LOGIN"]


def test_the_values_that_a_parse_error_could_show_are_hidden(task_factory: TaskFactory):
    with pytest.raises(DefinitionError, match=r"env=\(hidden, a list\): must be a dict$"):
        task_factory(env=[WORD])


def test_the_values_of_a_botocore_config_are_hidden_in_its_error(runner: Runner, task_factory: TaskFactory):
    task = runner.rendered(task_factory(botocore_config="{{ 'http://me:correct-horse@proxy' }}"))
    with pytest.raises(DefinitionError, match=r"botocore_config=\(hidden, 29 characters\): must be a dict"):
        _ = task.connection


def test_rendered_templates_leave_out_what_was_not_set(runner: Runner, task_factory: TaskFactory):
    task = task_factory(arguments=[], env={}, output_kms_key="{{ 'a-key' }}")
    names = {*task.template_fields}
    fields = shown(runner.rendered(task))
    assert None not in fields.values()
    assert (fields["arguments"], fields["env"], fields["output_kms_key"]) == ([], {}, "a-key")
    assert names - {*fields} >= {"volume_kms_key", "network_config", "experiment_config", "max_wait", "result_files"}
    assert {*type(task).template_fields} == names


def test_a_task_can_be_rendered_again(runner: Runner, task_factory: TaskFactory):
    task = task_factory(output_kms_key="{{ 'a-key' }}")
    assert shown(runner.rendered(task)) == shown(runner.rendered(task))
