from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_processing.processing import FeatureStoreOutput, ProcessingOutput

ROWS: list[tuple[ProcessingOutput, dict[str, Any]]] = [
    (
        ProcessingOutput("/out", "s3://b/out", "a"),
        {
            "OutputName": "a",
            "AppManaged": False,
            "S3Output": {"S3Uri": "s3://b/out", "LocalPath": "/out", "S3UploadMode": "EndOfJob"},
        },
    ),
    (
        ProcessingOutput("/out", "s3://b/out", "a", "Continuous", app_managed=True),
        {
            "OutputName": "a",
            "AppManaged": True,
            "S3Output": {"S3Uri": "s3://b/out", "LocalPath": "/out", "S3UploadMode": "Continuous"},
        },
    ),
    (
        ProcessingOutput(output_name="a", app_managed=True, feature_store_output=FeatureStoreOutput("group")),
        {"OutputName": "a", "AppManaged": True, "FeatureStoreOutput": {"FeatureGroupName": "group"}},
    ),
]


@pytest.mark.parametrize(("item", "request_part"), ROWS)
def test_the_request_has_what_was_given(item: ProcessingOutput, request_part: dict[str, Any]) -> None:
    assert item.to_boto() == request_part


@pytest.mark.parametrize(("item", "request_part"), ROWS)
def test_a_response_gives_the_output_that_was_sent(item: ProcessingOutput, request_part: dict[str, Any]) -> None:
    assert ProcessingOutput.from_boto(request_part) == item


def test_a_nested_definition_may_be_a_dict() -> None:
    group: Any = {"feature_group_name": "group"}

    assert ProcessingOutput(feature_store_output=group).feature_store_output == FeatureStoreOutput("group")


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ProcessingOutput().destination = "s3://b/k"  # type: ignore[misc]
