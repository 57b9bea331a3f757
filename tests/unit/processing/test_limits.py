"""The limits are the model's: whatever it says is kept, value by value."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.processing.validation import _compiled, request_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape


def members(shape: Shape, path: str = "") -> Iterator[tuple[str, Shape]]:
    """Walk through a request's shapes; `path` is as `request_problems` writes it, with 0 and 'k' as the places."""
    yield path, shape
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from members(member, f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        yield from members(shape.member, f"{path}[0]")
    elif shape.type_name == "map":
        yield from members(shape.value, f"{path}['k']")


def placed(path: str, value: Any) -> Any:
    """Return a request that has nothing but a value at a path."""
    for step in reversed(re.findall(r"\w+|\[0\]|\['k'\]", path)):
        value = [value] if step == "[0]" else {"k": value} if step == "['k']" else {step: value}
    return value


def rules_at(operation: OperationModel, path: str, value: Any) -> list[str]:
    return [item.rule for item in request_problems(operation, placed(path, value)) if item.parameter == path]


def constrained(operation: OperationModel, *keys: str) -> list[tuple[str, Shape]]:
    found = [item for item in members(operation.input_shape) if any(key in item[1].metadata for key in keys)]
    assert found
    return found


def of_size(shape: Shape, size: int) -> Any:
    if shape.type_name == "list":
        return ["x"] * size
    if shape.type_name == "map":
        return {f"k{index}": "x" for index in range(size)}
    return "x" * size if shape.type_name == "string" else size


def is_within(operation: OperationModel, path: str, shape: Shape, size: int) -> bool:
    """Return whether a value of that size breaks no rule of size, whatever else it breaks."""
    rules = rules_at(operation, path, of_size(shape, size))
    return not [rule for rule in rules if re.match(r"must (have|be) (\d|at)", rule)]


def test_a_value_at_a_limit_passes_and_one_beyond_fails(create_operation: OperationModel) -> None:
    for path, shape in constrained(create_operation, "min", "max"):
        low, high = shape.metadata.get("min", 0), shape.metadata["max"]
        lowest = 0 if shape.type_name != "integer" else low - 1
        sizes = {max(low - 1, lowest), low, high, high + 1}
        assert {size for size in sizes if is_within(create_operation, path, shape, size)} == {low, high}, path


def test_each_value_of_an_enum_passes_and_no_other(create_operation: OperationModel) -> None:
    for path, shape in constrained(create_operation, "enum"):
        assert [value for value in shape.enum if rules_at(create_operation, path, value)] == [], path
        assert len(rules_at(create_operation, path, f"{shape.enum[0]}x")) == 1, path


def test_each_missing_required_field_is_reported(create_operation: OperationModel) -> None:
    for path, shape in members(create_operation.input_shape):
        if shape.type_name == "structure":
            found = {item.parameter for item in request_problems(create_operation, placed(path, {}) if path else {})}
            assert found >= {f"{path}.{name}".lstrip(".") for name in shape.required_members}, path


WRONG_TYPES = {
    "structure": ([], "a dict"),
    "map": ([], "a dict"),
    "list": ({}, "a list"),
    "string": (1, "a string"),
    "integer": ("1", "an integer"),
    "boolean": (1, "a boolean"),
}


def test_each_field_refuses_another_type(create_operation: OperationModel) -> None:
    for path, shape in members(create_operation.input_shape):
        value, wanted = WRONG_TYPES[shape.type_name]
        if path:
            assert rules_at(create_operation, path, value) == [f"must be {wanted}, not {type(value).__name__}"], path


def test_an_unknown_field_is_reported_with_the_known_ones(create_operation: OperationModel) -> None:
    rule = "is unknown; known are ExperimentName, TrialName, TrialComponentDisplayName, RunName"

    assert rules_at(create_operation, "ExperimentConfig.Experiment", "x") == [rule]


SAMPLES = {
    "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}": (["a", "a--b", "A9"], ["", "-a", "a-", "a_b", "é", "a\n"]),
    "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}": (["a-b"], ["a b"]),
    "[a-zA-Z0-9]([_-]*[a-zA-Z0-9]){0,63}": (["a_-b"], ["a_"]),
    "(https|s3)://([^/]+)/?(.*)": (["s3://b", "s3://b/k/ü"], ["s3:///k", "S3://b", "b/k", "s3://b/\n"]),
    "[a-zA-Z0-9:/_-]*": (["", "arn:aws:kms:r:1:key/a_b-c"], ["a b"]),
    "arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+": (
        ["arn:aws-cn:iam::123456789012:role/path/a@b"],
        ["arn:aws:iam::12:role/a", "arn:aws:iam::123456789012:user/a"],
    ),
    "([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)": (
        ["", "Größe 데이터 ²", "a\u00a0b\u2028c", "_.:/=+-@"],
        ["a#", "❤", "a\tb", "a\u0301", "\U0001f600"],
    ),
    "[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\t]*": (
        ["a\tb é \U0001f600", "\ue000"],
        ["a\nb", "\x00", "\ud800", "\uffff"],
    ),
    ".*": (["", "ü \t"], ["a\nb"]),
    "[\\s\\S]+": (["SELECT\n1"], [""]),
    "[\\S\\s]*": (["", "a\n\tb"], []),
    "[a-zA-Z0-9._-]+": (["a.b_c-d"], ["", "a b"]),
    "[-0-9a-zA-Z]+": (["subnet-0a1"], ["", "subnet_0"]),
    "[a-zA-Z_][a-zA-Z0-9_]*": (["_A1"], ["", "1A", "A-B"]),
}


def patterns(operation: OperationModel) -> set[str]:
    keys = [shape.key for _, shape in members(operation.input_shape) if shape.type_name == "map"]
    shapes = [shape for _, shape in constrained(operation, "pattern")]
    return {shape.metadata["pattern"] for shape in [*shapes, *keys] if "pattern" in shape.metadata}


def test_every_pattern_of_the_model_has_samples(create_operation: OperationModel) -> None:
    assert patterns(create_operation) == set(SAMPLES)


@pytest.mark.parametrize("pattern", SAMPLES)
def test_a_pattern_takes_and_refuses_what_it_says(pattern: str) -> None:
    good, bad = SAMPLES[pattern]

    assert [text for text in good if not _compiled(pattern).fullmatch(text)] == []
    assert [text for text in bad if _compiled(pattern).fullmatch(text)] == []


def test_each_field_with_a_pattern_refuses_what_the_pattern_does(create_operation: OperationModel) -> None:
    for path, shape in constrained(create_operation, "pattern"):
        pattern = shape.metadata["pattern"]
        for text in SAMPLES[pattern][1]:
            assert f"must match {pattern}" in rules_at(create_operation, path, text), path


def test_tags_take_exactly_the_letters_numbers_and_separators_of_unicode() -> None:
    """Java's classes are Unicode's general categories; the comparison goes through every code point."""
    pattern = _compiled("[\\p{L}\\p{Z}\\p{N}]")
    known = [chr(code) for code in range(sys.maxunicode + 1)]

    differing = [
        character
        for character in known
        if bool(pattern.fullmatch(character)) != (unicodedata.category(character)[0] in "LZN") and character != "_"
    ]

    assert differing == []
