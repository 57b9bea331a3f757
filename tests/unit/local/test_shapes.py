"""The model's constraints are understood as the service understands them."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from airflow_sm_processing.local import validation
from airflow_sm_processing.local.validation import ServiceError

MODEL = botocore.session.Session().get_service_model("sagemaker")
OPERATIONS = (
    *(f"{verb}ProcessingJob" for verb in ("Create", "Describe", "Stop", "Delete")),
    "ListProcessingJobs",
    "AddTags",
    "ListTags",
    "DeleteTags",
)


def _patterns(shape: Any, found: set[str]) -> set[str]:
    if pattern := shape.metadata.get("pattern"):
        found.add(pattern)
    members: list[Any] = []
    if shape.type_name == "structure":
        members = list(shape.members.values())
    elif shape.type_name == "list":
        members = [shape.member]
    elif shape.type_name == "map":
        members = [shape.key, shape.value]
    for member in members:
        _patterns(member, found)
    return found


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_pattern_of_the_model_is_understood(operation: str):
    for pattern in _patterns(MODEL.operation_model(operation).input_shape, set()):
        assert validation.regex(pattern).fullmatch("\0") is None or pattern in {".*", r"[\S\s]*", r"[\s\S]+"}


def _complaint(shape: str, value: Any) -> str | None:
    try:
        validation.check_shape(value, MODEL.shape_for(shape))
    except ServiceError as error:
        return error.message
    return None


@pytest.mark.parametrize("key", ["plain", "Größe", "日本", "a b", "a:b/c=d+e-f@g.h_i", "٣"])
def test_tag_keys_may_have_letters_digits_and_spaces_of_any_script(key: str):
    assert _complaint("Tag", {"Key": key, "Value": ""}) is None


@pytest.mark.parametrize("key", ["a;b", "a\tb", "", "a*"])
def test_other_tag_keys_are_refused(key: str):
    assert _complaint("Tag", {"Key": key, "Value": ""}) is not None


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"ExperimentName": "a"}, None),
        ({}, None),
        ({"Unknown": object()}, None),
        (
            {"ExperimentName": "x" * 121},
            (
                "2 validation errors detected: Value '{name}' at 'experimentName' failed to satisfy constraint: "
                "Member must have length less than or equal to 120; "
                "Value '{name}' at 'experimentName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: {pattern}"
            ),
        ),
    ],
)
def test_each_violated_constraint_is_named(value: dict[str, Any], complaint: str | None):
    pattern = MODEL.shape_for("ExperimentEntityName").metadata["pattern"]
    expected = complaint and complaint.format(name="x" * 121, pattern=pattern)
    assert _complaint("ExperimentConfig", value) == expected


def test_null_is_the_same_as_absent():
    assert _complaint("ExperimentConfig", {"ExperimentName": None}) is None
    assert _complaint("Tag", {"Key": "a", "Value": None}) == (
        "1 validation error detected: Value null at 'value' failed to satisfy constraint: Member must not be null"
    )
