"""Checks a request against botocore's service model, which has every limit of the API.

botocore itself checks types, required fields and minimums only; patterns, maximums and enums would reach the service,
which answers with the first violation after the uploads are done.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.boto3_versions import may_be_newer_instance_type, needs_newer_boto3
from airflow_sm_processing.processing.values import LATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

__all__ = ["request_problems"]

_SHOWN_ENUM_VALUES = 8
_INSTANCE_TYPE = "ProcessingInstanceType"  # the shape's name in the model


def request_problems(operation: OperationModel, request: dict[str, Any]) -> Iterator[Problem]:
    """Yield what the service would refuse; `parameter` is a path such as `ProcessingInputs[0].S3Input.S3Uri`."""
    shape = operation.input_shape
    if shape is None:
        return
    yield from _problems(shape, request, "")


def _problems(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    if value is LATE:  # it couldn't be read, which is noted, or isn't known yet
        return
    python_type, kind, check = _CHECKS[shape.type_name]
    if not isinstance(value, python_type) or (isinstance(value, bool) and python_type is int):
        yield Problem(path, value, f"must be {kind}, not {type(value).__name__}")
        return
    yield from check(shape, value, path)


def _structure(shape: Shape, value: dict[str, Any], path: str) -> Iterator[Problem]:
    structure = cast("StructureShape", shape)
    newer = {name: rule for name in value.keys() - structure.members if (rule := needs_newer_boto3(name))}
    for name in structure.required_members:
        if name not in value and not newer:  # what is newer may stand in place of what was required
            yield Problem(_joined(path, name), None, "is required")
    for name, item in value.items():
        if name in structure.members:
            yield from _problems(structure.members[name], item, _joined(path, name))
        else:
            rule = newer.get(name) or f"is unknown; known are {', '.join(structure.members)}"
            yield Problem(_joined(path, name), item, rule)


def _list(shape: Shape, value: list[Any], path: str) -> Iterator[Problem]:
    yield from _size(shape, len(value), value, path, "items")
    for index, item in enumerate(value):
        yield from _problems(cast("ListShape", shape).member, item, f"{path}[{index}]")


def _map(shape: Shape, value: dict[Any, Any], path: str) -> Iterator[Problem]:
    mapping = cast("MapShape", shape)
    yield from _size(shape, len(value), value, path, "entries")
    for key, item in value.items():
        yield from _problems(mapping.key, key, f"{path} key {key!r}")
        yield from _problems(mapping.value, item, f"{path}[{key!r}]")


def _string(shape: Shape, value: str, path: str) -> Iterator[Problem]:
    yield from _size(shape, len(value), value, path, "characters")
    if enum := cast("StringShape", shape).enum:
        if value not in enum and not (shape.name == _INSTANCE_TYPE and may_be_newer_instance_type(value)):
            yield Problem(path, value, _enum_rule(value, enum))
    elif (pattern := shape.metadata.get("pattern")) and not _compiled(pattern).fullmatch(value):
        yield Problem(path, value, f"must match {pattern}")


def _number(shape: Shape, value: float, path: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        yield Problem(path, value, f"must be {_range(low, high)}")


def _any(_shape: Shape, _value: object, _path: str) -> Iterator[Problem]:
    return iter(())


_CHECKS: dict[str, Any] = {
    "structure": (dict, "a dict", _structure),
    "list": (list, "a list", _list),
    "map": (dict, "a dict", _map),
    "string": (str, "a string", _string),
    "integer": (int, "an integer", _number),
    "long": (int, "an integer", _number),
    "boolean": (bool, "a boolean", _any),
}


def _size(shape: Shape, size: int, value: object, path: str, unit: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield Problem(path, value, f"must have {_range(low, high)} {unit}, has {size}")


def _range(low: int | None, high: int | None) -> str:
    if low and high is not None:
        return f"{low} to {high}"
    return f"at most {high}" if high is not None else f"at least {low}"


def _enum_rule(value: str, enum: list[str]) -> str:
    if len(enum) <= _SHOWN_ENUM_VALUES:
        return f"must be one of {', '.join(enum)}"
    nearest = difflib.get_close_matches(value, enum, n=3)
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else f", such as {', '.join(enum[:3])}"
    return f"is none of the {len(enum)} values that SageMaker knows{hint}"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of the model, which is written in Java's dialect.

    Python has neither `\p{…}` classes nor surrogate pairs: letters and numbers are `\w`, separators are Unicode's
    Zs, Zl and Zp, and a pair range is the range of code points that it stands for.
    """
    python = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\\U00010000-\\U0010FFFF")
    python = python.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\w")
    python = python.replace(r"\p{Z}", r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000")
    return re.compile(python)
