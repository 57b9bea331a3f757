"""A task whose own parameters contradict its DAG's `default_args`: the task's own word counts, and the file loads."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task

from airflow_sm_processing import DefinitionError, ProcessingJobSensor, ProcessingOutput, ScriptProcessingOperator
from tests.task_parameters import read_task

OUTPUTS = [ProcessingOutput("/opt/ml/processing/out", output_name="out")]
NO_WAIT: dict[str, Any] = {"wait_for_completion": False}


def made(valid: dict[str, Any], defaults: dict[str, Any], own: dict[str, Any]) -> ScriptProcessingOperator:
    with DAG("a_dag", schedule=None, default_args={**valid, **defaults}):
        return ScriptProcessingOperator(task_id="task", **own)


@pytest.mark.parametrize(
    ("defaults", "own"),
    [
        ({"deferrable": True}, NO_WAIT),
        (NO_WAIT, {"deferrable": True}),
        ({"deferrable": True, **NO_WAIT}, {}),
        ({}, {"deferrable": True, **NO_WAIT}),
        ({"emit_assets": True}, NO_WAIT),
        (NO_WAIT, {"emit_assets": True}),
        ({"result_files": {"metrics": "out/metrics.json"}}, {"outputs": OUTPUTS, **NO_WAIT}),
        (NO_WAIT, {"outputs": OUTPUTS, "result_files": {"metrics": "out/metrics.json"}}),
        ({"end_from_trigger": True, "logs": "tail", "on_stopped": "skip", "max_wait": 5}, NO_WAIT),
    ],
)
def test_not_waiting_wins(valid, defaults, own):
    _, modes = read_task(made(valid, defaults, own))
    assert modes.wait_for_completion is False


def test_airflows_own_default_to_defer_is_no_contradiction(valid, monkeypatch):
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert made(valid, {}, NO_WAIT).wait_for_completion is False


@pytest.mark.parametrize("parameter", ["result_files", "emit_assets"])
def test_a_contradiction_of_the_tasks_own_is_still_an_error(valid, parameter):
    own = {"result_files": {"metrics": "out/metrics.json"}, "emit_assets": True}
    with pytest.raises(DefinitionError, match=parameter):
        made(valid, {}, {"outputs": OUTPUTS, parameter: own[parameter], **NO_WAIT})


def test_a_mapped_task_and_a_task_group_inherit_too(runner, valid):
    with DAG("a_dag", schedule=None, default_args={**valid, "deferrable": True}):
        mapped = ScriptProcessingOperator.partial(task_id="mapped", **NO_WAIT).expand(arguments=[["a"]])
        with TaskGroup("group", default_args={"emit_assets": True}):
            grouped = ScriptProcessingOperator.partial(task_id="grouped", **NO_WAIT).expand(arguments=[["a"]])
    for task_ in (mapped, grouped):
        _, modes = read_task(runner.rendered(task_, map_index=0))
        assert (modes.deferrable, modes.wait_for_completion) == (True, False)


@pytest.mark.parametrize(
    ("defaults", "own", "used"),
    [
        (
            {"instance_type": "ml.m5.large"},
            {"instance_preferences": ["ml.m5.xlarge"]},
            (None, ["ml.m5.xlarge"], 1),
        ),
        (
            {"instance_preferences": ["ml.m5.xlarge"]},
            {"instance_type": "ml.m5.large"},
            ("ml.m5.large", [], 1),
        ),
        (
            {"instance_type": "ml.m5.large", "instance_count": 2},
            {"instance_preferences": [{"instance_type": "ml.m5.xlarge", "instance_count": 3}]},
            (None, ["ml.m5.xlarge"], None),
        ),
    ],
)
def test_instances_are_the_tasks_own(valid, defaults, own, used):
    shared = {name: value for name, value in valid.items() if name != "instance_type"}
    definition, _ = read_task(made(shared, defaults, own))
    types = [item.instance_type for item in definition.instance_preferences]
    assert (definition.instance_type, types, definition.instance_count) == used


@pytest.mark.parametrize("owners", [("defaults", "defaults"), ("own", "own")])
def test_instances_that_one_place_contradicts_are_an_error(valid, owners):
    both = {"instance_type": "ml.m5.large", "instance_preferences": ["ml.m5.xlarge"]}
    defaults, own = (both, {}) if owners[0] == "defaults" else ({}, both)
    with pytest.raises(DefinitionError, match="can't be combined with instance_preferences"):
        made({name: value for name, value in valid.items() if name != "instance_type"}, defaults, own)


def test_a_default_mask_may_name_variables_that_a_task_has_not(valid):
    assert made(valid, {"mask_env": ["TOKEN"]}, {"env": {"A": "b"}}).env == {"A": "b"}
    with pytest.raises(DefinitionError, match="isn't a variable in env"):
        made(valid, {}, {"mask_env": ["TOKEN"], "env": {"A": "b"}})
    with pytest.raises(DefinitionError, match="isn't a variable in env"):
        made(valid, {"mask_env": ["TOKEN"], "env": {"A": "b"}}, {})


def test_a_sensor_looks_for_the_job_that_it_names_itself():
    with DAG("a_dag", schedule=None, default_args={"job_name": "mine", "mode": "reschedule", "deferrable": True}):
        own = ProcessingJobSensor(task_id="own", job_name_prefix="theirs-")
        default = ProcessingJobSensor(task_id="default")
    assert (own.job_name, own.job_name_prefix, default.job_name) == (None, "theirs-", "mine")


def test_a_functions_task_waits_whatever_its_defaults_say(valid):
    with DAG("a_dag", schedule=None, default_args={**valid, "deferrable": True, **NO_WAIT}):

        @task.sm_processing
        def function() -> int:
            return 1

        assert function().operator.wait_for_completion is True


@pytest.mark.parametrize(("default", "own"), [("image_uri", "image"), ("image", "image_uri")])
def test_the_tasks_own_image_goes_before_an_inherited_one(valid, default, own):
    del valid["image_uri"]
    definition, _ = read_task(made(valid, {default: "sklearn:1.2-1"}, {own: "sklearn:1.4-2"}))
    assert (getattr(definition, own), getattr(definition, default)) == ("sklearn:1.4-2", None)
