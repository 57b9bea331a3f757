"""Inputs of plain data, which the job reads as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_processing.processing import ProcessingInput, Processor, S3Input, Session
from airflow_sm_processing.processing.definition import DefinitionReader
from airflow_sm_processing.processing.request import SubmissionPlan, default_keys, plan_submission
from airflow_sm_processing.processing.validation import definition_problems

from .makers import IMAGE, ROLE_ARN

PLACE = "/opt/ml/processing/settings"
SETTINGS = {"rate": 0.1, "columns": ["a", "é"], "deep": {"on": True, "none": None}}


def planned(*inputs: ProcessingInput | dict[str, Any], upload_key: str | None = None) -> SubmissionPlan:
    processor = Processor(ROLE_ARN, IMAGE, 1, "ml.m5.large", sagemaker_session=Session())
    definition = processor.define(inputs=inputs, job_name="job")
    return plan_submission(definition, role_arn=ROLE_ARN, key=default_keys("bucket", "prefix"), upload_key=upload_key)


def texts(plan: SubmissionPlan) -> dict[str, str]:
    """Return what is uploaded, by its key."""
    found: dict[str, str] = {}
    for upload in plan.uploads:
        with upload.local() as (path, content):
            files = {path: path.relative_to(path.parent) for path in path.rglob("*") if path.is_file()}
            found |= {f"{upload.s3_uri}/{file.name}": file.read_text() for file in files}
            assert content is None or [Path(file.path).name for file in content.files] == [file.name for file in files]
    return found


@pytest.mark.parametrize("data", [SETTINGS, [1, 2], json.dumps(SETTINGS), "null", "1.10", 5])
def test_data_becomes_a_file(data: Any):
    plan = planned(ProcessingInput.from_json(data, PLACE, "settings"))
    [item] = plan.request["ProcessingInputs"]
    uri = "s3://bucket/prefix/job/input/settings/input.json"
    assert (item["InputName"], item["S3Input"]["S3Uri"], item["S3Input"]["LocalPath"]) == ("settings", uri, PLACE)
    written = texts(plan)[uri]
    assert written == data if isinstance(data, str) else json.loads(written) == data


def test_its_place_depends_on_the_data_alone():
    def place(data: Any, name: str = "settings", file_name: str = "a.json") -> str:
        plan = planned(ProcessingInput.from_json(data, PLACE, name, file_name), upload_key="key")
        [uri] = texts(plan)
        assert plan.request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == uri
        return uri

    first = place(SETTINGS)
    assert first.startswith("s3://bucket/prefix/key/input/")
    assert first.endswith("/settings/a.json")
    assert place(dict(SETTINGS)) == first
    others = {place({**SETTINGS, "rate": 0.2}), place(SETTINGS, "other"), place(SETTINGS, "settings", "b.json")}
    assert len(others | {first}) == 4


@pytest.mark.parametrize(
    ("fields", "parameter", "rule"),
    [
        ({"json": "{'a': 1}"}, "json", "must be JSON: Expecting property name"),
        ({"json": '{"a": 1, "a": 2}'}, "json", "must be JSON: has the key 'a' more than once"),
        ({"json": {"a": {1, 2}}}, "json", "must be what JSON can hold: Object of type set"),
        ({"json": float("nan")}, "json", "must be what JSON can hold: Out of range float values"),
        ({"json": {}, "source": "s3://b/k"}, "json", "can't be combined with source, s3_input or dataset_definition"),
        ({"json": {}, "s3_input": S3Input("s3://b/k", PLACE)}, "json", "can't be combined with source"),
        ({"json": {}, "destination": None}, "destination", "is required with json"),
        ({"json": {}, "file_name": "a/b.json"}, "file_name", "must be a file's name without a folder"),
        ({"json": {}, "file_name": ".."}, "file_name", "must be a file's name without a folder"),
    ],
)
def test_what_cant_be_a_file_is_an_error(fields: dict[str, Any], parameter: str, rule: str):
    reader = DefinitionReader()
    read = reader.read({"role": ROLE_ARN, "image_uri": IMAGE, "inputs": [{"destination": PLACE, **fields}]})
    problems = {problem.parameter: problem.rule for problem in [*reader.problems, *definition_problems(read)]}
    assert problems[f"inputs[0].{parameter}"].startswith(rule)
