"""Which inlets and outlets a task gets, and where an asset's data is."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_sm_processing import DefinitionError, ProcessingInput, ProcessingOperator, ProcessingOutput
from airflow_sm_processing.operators.outputs import AssetOutlets, emit_asset_events, outputs_alias, with_uris
from airflow_sm_processing.operators.templating import as_bool
from airflow_sm_processing.processing.description import JobDescription, JobStatus
from airflow_sm_processing.processing.s3 import Size

COMMON: dict[str, Any] = {
    "role": "R",
    "image_uri": "i",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}
RAW = Asset("raw", uri="s3://raw/rows/")


def made(task_id: str = "task", **arguments: Any) -> ProcessingOperator:
    with DAG("a_dag", schedule=None):
        return ProcessingOperator(task_id=task_id, **COMMON, **arguments)


@pytest.mark.parametrize(
    ("asset", "uri"),
    [
        (RAW, "s3://raw/rows"),  # what Airflow makes of it
        (Asset("s3://raw/rows/"), "s3://raw/rows/"),
        (Asset("s3://raw/rows"), "s3://raw/rows"),
        (Asset("s3://raw"), "s3://raw"),
        (Asset("s3://raw/a#b"), "s3://raw/a#b"),
        (Asset("s3://name", uri="s3://raw/a"), "s3://raw/a"),
    ],
)
def test_an_asset_is_where_its_uri_says_with_its_slash_where_airflow_has_kept_it(asset: Asset, uri: str) -> None:
    assert with_uris([{"source": asset}]) == [{"source": uri}]


def test_what_has_no_asset_in_it_stays_the_same_object() -> None:
    inputs = [{"source": "s3://raw"}]
    assert with_uris(inputs) is inputs


def test_an_input_from_an_asset_is_an_inlet_once() -> None:
    inputs = [ProcessingInput(RAW, f"/opt/ml/processing/{name}") for name in ("a", "b")]
    task = made(inputs=inputs, inlets=[Asset("other")])
    assert task.inlets == [Asset("other"), RAW]
    assert [item["source"] for item in task.inputs] == ["s3://raw/rows", "s3://raw/rows"]


def test_a_mapped_task_has_the_inlets_and_outlets_that_its_instances_share() -> None:
    with DAG("a_dag", schedule=None):
        mapped = ProcessingOperator.partial(
            task_id="task", inputs=[ProcessingInput(RAW, "/opt/ml/processing/a")], emit_assets=True, **COMMON
        ).expand(arguments=[["a"], ["b"]])
    assert (mapped.inlets, mapped.outlets) == ([RAW], [AssetAlias("a_dag.task")])
    assert mapped.partial_kwargs["inputs"] == [{"source": "s3://raw/rows", "destination": "/opt/ml/processing/a"}]


def test_assets_that_are_mapped_over_give_their_uris() -> None:
    with DAG("a_dag", schedule=None):
        mapped = ProcessingOperator.partial(task_id="task", **COMMON).expand(
            inputs=[[ProcessingInput(RAW, "/opt/ml/processing/a")]]
        )
    assert mapped.expand_input.value["inputs"] == [[{"source": "s3://raw/rows", "destination": "/opt/ml/processing/a"}]]


def test_a_task_that_emits_assets_has_one_outlet_for_them() -> None:
    assert made(emit_assets=True, outlets=[AssetAlias("mine")]).outlets == [
        AssetAlias("mine"),
        AssetAlias("a_dag.task"),
    ]
    assert made().outlets == []
    assert ProcessingOperator(task_id="alone", emit_assets=True, **COMMON).outlets == [AssetAlias("alone")]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (
            {"emit_assets": True, "wait_for_completion": False},
            "no output is complete before the job's end: set wait_for_completion=True",
        ),
        ({"emit_assets": "yes"}, "must be true or false"),
    ],
)
def test_what_can_not_be_emitted_is_said_at_once(arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        made(**arguments)
    assert [(problem.parameter, problem.rule) for problem in caught.value.problems] == [("emit_assets", rule)]


def description(**outputs: str) -> JobDescription:
    return JobDescription(
        job_name="a-job",
        job_arn="an-arn",
        status=JobStatus.COMPLETED,
        outputs=tuple(ProcessingOutput("/opt/ml/processing/o", uri, name) for name, uri in outputs.items()),
    )


def told(task: ProcessingOperator, job: JobDescription, sizes: dict[str, Any]) -> OutletEventAccessors:
    events = OutletEventAccessors()
    context: Any = {"outlet_events": events}
    alias = outputs_alias(task) if as_bool(task.emit_assets) else None
    emit_asset_events(AssetOutlets(task.outlets, task.own_outputs, alias), context, job, sizes)
    return events


def test_what_was_counted_in_part_or_not_at_all_says_so() -> None:
    task = made(emit_assets=True)
    places = {"many": "s3://b/many", "unknown": "s3://b/unknown"}
    events = told(task, description(**places), {"s3://b/many": Size(7, 10_000, complete=False)})
    found = {event.extra["output"]: event.extra for event in events[AssetAlias("a_dag.task")].asset_alias_events}
    job = {"job_name": "a-job", "job_arn": "an-arn"}
    many = {"output": "many", "uri": "s3://b/many", "bytes": 7, "objects": 10_000, "is_complete": False}
    unknown = {"output": "unknown", "uri": "s3://b/unknown", "bytes": None, "objects": None, "is_complete": False}
    assert found == {"many": job | many, "unknown": job | unknown}


def test_a_template_that_comes_to_false_emits_nothing() -> None:
    task = made(emit_assets="{{ params.emits }}")
    task.emit_assets = "False"
    assert len(told(task, description(train="s3://b/train"), {})) == 0


def test_a_place_that_no_asset_can_have_costs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    task = made(emit_assets=True)
    with caplog.at_level(logging.WARNING):
        events = told(task, description(train=f"s3://b/{'x' * 1500}"), {})
    assert len(events) == 0
    assert "No asset event was created for s3://b/xxx" in caplog.text
    assert "cannot exceed 1500 characters" in caplog.text
