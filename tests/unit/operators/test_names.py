"""Generated names tell task instances apart, whatever the millisecond."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from airflow_sm_processing.operators.names import named_after_task
from airflow_sm_processing.processing import JobDefinition
from airflow_sm_processing.processing.names import job_name_from_base


@dataclass(frozen=True)
class Instance:
    """What a name is made of, as a task instance has it."""

    dag_id: str = "a_dag"
    run_id: str = "a_run"
    task_id: str = "a_task"
    map_index: int = -1
    try_number: int = 1


DEFINITION = JobDefinition(role="R", image_uri="registry/sklearn:1")


def base_name(instance: Instance, **fields: str) -> str:
    return named_after_task(replace(DEFINITION, **fields), instance).base_job_name


@pytest.mark.parametrize(
    "other",
    [
        Instance(dag_id="b"),
        Instance(run_id="b"),
        Instance(task_id="b"),
        Instance(map_index=0),
        Instance(try_number=2),
        Instance(dag_id="a", run_id="_dag a_run"),
    ],
)
def test_each_attempt_of_each_task_instance_has_a_name_of_its_own(other: Instance):
    assert base_name(Instance()) == base_name(Instance())
    assert base_name(other) != base_name(Instance())


@pytest.mark.parametrize(
    ("base", "readable"), [("sklearn", "sklearn"), ("x" * 60, "x" * 30), ("a" * 29 + "_b", "a" * 29)]
)
def test_the_digest_survives_the_cut_to_63_characters(base: str, readable: str):
    name = job_name_from_base(base_name(Instance(), base_job_name=base))
    assert re.fullmatch(rf"{readable}-[0-9a-f]{{8}}-\d{{4}}(-\d\d){{5}}-\d{{3}}", name)
    assert len(name) <= 63


def test_without_a_base_name_the_images_is_taken():
    assert base_name(Instance()).startswith("sklearn-")


def test_a_name_that_the_user_chose_stays():
    definition = replace(DEFINITION, job_name="mine")
    assert named_after_task(definition, Instance()) is definition
