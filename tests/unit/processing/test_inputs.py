from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given

from airflow_sm_processing.processing import DatasetDefinition, ProcessingInput, S3Input

from .definitions import inputs
from .queries import ATHENA, query

FULL = S3Input(
    s3_uri="s3://b/k",
    local_path="/opt/ml/processing/in",
    s3_data_type="ManifestFile",
    s3_input_mode="Pipe",
    s3_data_distribution_type="ShardedByS3Key",
    s3_compression_type="Gzip",
)
FULL_REQUEST = {
    "S3Uri": "s3://b/k",
    "LocalPath": "/opt/ml/processing/in",
    "S3DataType": "ManifestFile",
    "S3InputMode": "Pipe",
    "S3DataDistributionType": "ShardedByS3Key",
    "S3CompressionType": "Gzip",
}


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ProcessingInput().source = "s3://b/k"  # type: ignore[misc]


def test_source_and_destination_imply_an_s3_input() -> None:
    item = ProcessingInput(source="s3://b/k", destination="/in")

    assert item.s3_input == S3Input(s3_uri="s3://b/k", local_path="/in", s3_compression_type="None")
    assert item.to_boto() == {
        "InputName": None,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": "s3://b/k",
            "LocalPath": "/in",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }


def test_an_s3_input_wins_and_shows_in_the_other_fields() -> None:
    item = ProcessingInput(source="s3://other", destination="/other", s3_input=FULL, input_name="a", app_managed=True)

    assert (item.source, item.destination, item.s3_compression_type) == ("s3://b/k", "/opt/ml/processing/in", "Gzip")
    assert item.to_boto() == {"InputName": "a", "AppManaged": True, "S3Input": FULL_REQUEST}


def test_nested_definitions_may_be_dicts() -> None:
    fields: Any = {"local_path": "/in", "athena_dataset_definition": vars(ATHENA)}

    item = ProcessingInput(dataset_definition=fields)

    assert item.dataset_definition == DatasetDefinition(local_path="/in", athena_dataset_definition=ATHENA)
    assert ProcessingInput(s3_input=vars(FULL)) == ProcessingInput(s3_input=FULL)  # type: ignore[arg-type]  # templated


def test_a_querys_request_has_what_was_given() -> None:
    assert query(input_mode="File").to_boto() == {
        "InputName": None,
        "AppManaged": False,
        "DatasetDefinition": {
            "DataDistributionType": "ShardedByS3Key",
            "InputMode": "File",
            "LocalPath": "/opt/ml/processing/input",
            "AthenaDatasetDefinition": {
                "Catalog": "c",
                "Database": "d",
                "QueryString": "SELECT 1",
                "OutputS3Uri": "s3://b/q",
                "OutputFormat": "PARQUET",
            },
        },
    }


def test_the_container_path_is_found_whichever_way_it_was_given() -> None:
    ways = (ProcessingInput(s3_input=FULL), ProcessingInput("s3://b", "/in"), query(), ProcessingInput())

    assert [item.container_path for item in ways] == ["/opt/ml/processing/in", "/in", "/opt/ml/processing/input", None]


def test_its_data_can_be_elsewhere_without_another_change() -> None:
    item = ProcessingInput("data", "/in", "a", s3_input_mode="Pipe")

    assert item.at("s3://b/k") == ProcessingInput("s3://b/k", "/in", "a", s3_input_mode="Pipe")
    assert (item.source, query().at("s3://b/k")) == ("data", query())


@given(inputs.map(lambda item: dataclasses.replace(item, input_name="a")))
def test_a_response_gives_the_input_that_was_sent(item: ProcessingInput) -> None:
    assert ProcessingInput.from_boto(item.to_boto()).to_boto() == item.to_boto()


def test_an_unknown_field_of_a_response_is_passed_over() -> None:
    response = {"InputName": "a", "S3Input": {**FULL_REQUEST, "Newer": 1}, "Newer": 2}

    assert ProcessingInput.from_boto(response) == ProcessingInput(input_name="a", s3_input=FULL)
