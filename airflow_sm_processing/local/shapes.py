"""A request checked against botocore's service model, every violation at once, in the service's own words."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from airflow_sm_processing.local.errors import ServiceError, validation_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import ListShape, MapShape, Shape, StructureShape

_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "timestamp": (int, float),
}

_CURRENT_BOTO3 = (1, 44)  # its model has every instance type that this package was checked against
_INSTANCE_TYPE = re.compile(r"ml\.[a-z]+[0-9]+[a-z]*(-[a-z]+)?\.(medium|large|[0-9]*xlarge)")

# What the model's patterns have and Python's `re` lacks.
_REGEX_DIALECT = (
    (r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"),
    (r"\p{L}", r"\w"),
    (r"\p{N}", r"\w"),  # \d alone is without numbers such as ²
    (r"\p{Z}", "\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"),
)


def check(value: Mapping[str, Any], shape: Shape) -> None:
    """Check a request.

    Raises:
        ServiceError: SerializationException for a wrong JSON type, as the service can't even read it;
            ValidationException with every violated constraint otherwise.
    """
    _check_types(value, shape, "")
    violations = list(_violations(value, shape, ""))
    if violations:
        count = "1 validation error" if len(violations) == 1 else f"{len(violations)} validation errors"
        raise validation_error(f"{count} detected: {'; '.join(violations)}")


def known(value: Any, shape: Shape) -> Any:
    """Leave out what the service doesn't see: members that its model lacks, and null ones."""
    if shape.type_name == "structure":
        structure: StructureShape = shape  # type: ignore[assignment]  # type_name says so
        members = structure.members
        return {
            name: known(member, members[name])
            for name, member in value.items()
            if name in members and member is not None
        }
    if shape.type_name == "list":
        items: ListShape = shape  # type: ignore[assignment]  # type_name says so
        return [known(item, items.member) for item in value]
    return value


def _check_types(value: Any, shape: Shape, path: str) -> None:
    if value is None:
        return
    expected = _JSON_TYPES.get(shape.type_name, (object,))
    if not isinstance(value, expected) or (isinstance(value, bool) and shape.type_name != "boolean"):
        where = f" at '{path}'" if path else ""
        message = f"{type(value).__name__} can not be converted to {shape.type_name}{where}"
        raise ServiceError("SerializationException", message)
    for step, child, child_shape in _children(value, shape):
        _check_types(child, child_shape, f"{path}.{step}" if path else step)


def _children(value: Any, shape: Shape) -> Iterator[tuple[str, Any, Shape]]:
    if shape.type_name == "structure":
        structure: StructureShape = shape  # type: ignore[assignment]  # type_name says so
        for name, member in structure.members.items():
            if value.get(name) is not None:
                yield name[0].lower() + name[1:], value[name], member
    elif shape.type_name == "list":
        items: ListShape = shape  # type: ignore[assignment]  # type_name says so
        for number, item in enumerate(value, start=1):
            yield f"{number}.member", item, items.member
    elif shape.type_name == "map":
        mapping: MapShape = shape  # type: ignore[assignment]  # type_name says so
        for key, item in value.items():
            yield f"{key}.member", item, mapping.value


def _violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if value is None:  # in a list: a structure's null members are absent ones
        yield _sentence("null", path, "Member must not be null")
        return
    for constraint in _constraints(value, shape):
        yield _sentence(_shown(value), path, constraint)
    yield from _scalar_member_violations(value, shape, path)
    if shape.type_name == "structure":
        yield from _missing(value, shape, path)
    for step, child, child_shape in _children(value, shape):
        if shape.type_name == "structure" or child_shape.type_name == "structure":
            yield from _violations(child, child_shape, f"{path}.{step}" if path else step)


def _missing(value: Mapping[str, Any], shape: Any, path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            step = name[0].lower() + name[1:]
            yield _sentence("null", f"{path}.{step}" if path else step, "Member must not be null")


def _scalar_member_violations(value: Any, shape: Any, path: str) -> Iterator[str]:
    """The service reports all constraints of scalar members at the list or map that holds them."""
    groups: list[tuple[str, list[Any], Shape]] = []
    if shape.type_name == "list" and shape.member.type_name != "structure":
        groups = [("Member", value, shape.member)]
    elif shape.type_name == "map":
        groups = [("Map keys", list(value), shape.key), ("Map value", list(value.values()), shape.value)]
    for subject, members, member_shape in groups:
        if any(member is None or any(_constraints(member, member_shape)) for member in members):
            rules = ", ".join(_rules(member_shape))
            yield _sentence(_shown(value), path, f"{subject} must satisfy constraint: [{rules}]")


def _sentence(shown: str, path: str, constraint: str) -> str:
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"'[{', '.join(map(str, value))}]'"
    if isinstance(value, dict):
        return f"'{{{', '.join(f'{key}={item}' for key, item in value.items())}}}'"
    return f"'{value}'"


def _constraints(value: Any, shape: Shape) -> Iterator[str]:
    """Give the constraints of a shape that a value breaks."""
    low, high, pattern = (shape.metadata.get(name) for name in ("min", "max", "pattern"))
    size = value if shape.type_name in {"integer", "long"} else len(value) if hasattr(value, "__len__") else None
    broken = {
        "min": low is not None and size is not None and size < low,
        "max": high is not None and size is not None and size > high,
        "enum": bool(shape.metadata.get("enum"))
        and value not in shape.metadata["enum"]
        and not _may_be_newer_instance_type(value, shape),
        "pattern": pattern is not None and not regex(pattern).fullmatch(str(value)),
    }
    for name, rule in _named_rules(shape):
        if broken[name]:
            yield rule


def _may_be_newer_instance_type(value: Any, shape: Shape) -> bool:
    """Tell what the service may have and an older boto3's model lacks, which botocore sends all the same."""
    installed = tuple(int(part) for part in re.findall(r"\d+", boto3.__version__)[:2])
    is_old = shape.name == "ProcessingInstanceType" and installed < _CURRENT_BOTO3
    return is_old and _INSTANCE_TYPE.fullmatch(value) is not None


def _rules(shape: Shape) -> Iterator[str]:
    for _, rule in _named_rules(shape):
        yield rule


def _named_rules(shape: Shape) -> Iterator[tuple[str, str]]:
    measure = "value" if shape.type_name in {"integer", "long"} else "length"
    metadata = shape.metadata
    if "max" in metadata:
        yield "max", f"Member must have {measure} less than or equal to {metadata['max']}"
    if "min" in metadata:
        yield "min", f"Member must have {measure} greater than or equal to {metadata['min']}"
    if "pattern" in metadata:
        yield "pattern", f"Member must satisfy regular expression pattern: {metadata['pattern']}"
    if "enum" in metadata:
        yield "enum", f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]"


@cache
def regex(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the model, which is written for Java."""
    for theirs, ours in _REGEX_DIALECT:
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)
