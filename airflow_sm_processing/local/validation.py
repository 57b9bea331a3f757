"""Validate requests against botocore's service model and further rules, and return errors as AWS does."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import boto3
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape


JSON_SERVICES = frozenset({"sagemaker", "logs"})


class ServiceError(Exception):
    """An error that is sent to the client as AWS would: `code`, `message`, HTTP `status`."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")

    def response(self, service: str) -> Response:
        """Return the error in the protocol of `service`: JSON 1.1, S3's XML or the query protocol's XML."""
        request_id = secrets.token_hex(16)
        headers = {"x-amzn-RequestId": request_id, "x-amz-request-id": request_id}
        if service in JSON_SERVICES:
            headers["x-amzn-errortype"] = self.code
            body = json.dumps({"__type": self.code, "message": self.message})
            return Response(body, self.status, headers, content_type="application/x-amz-json-1.1")
        fields = f"<Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
        if service == "s3":
            body = f"<Error>{fields}<RequestId>{request_id}</RequestId></Error>"
        else:
            error = f"<Error><Type>Sender</Type>{fields}</Error>"
            body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
        return Response(f'<?xml version="1.0" encoding="UTF-8"?>{body}', self.status, headers, content_type="text/xml")


def validation_error(message: str) -> ServiceError:
    """Return SageMaker's error for an invalid request."""
    return ServiceError("ValidationException", message)


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
_INSTANCE_TYPE_SHAPES = frozenset({"ProcessingInstanceType", "TrainingInstanceType"})
_INSTANCE_TYPE = re.compile(r"ml\.[a-z]+[0-9]+[a-z]*(-[a-z]+)?\.(medium|large|[0-9]*xlarge)")

# Replacements for what the model's patterns use and Python's `re` doesn't support.
_REGEX_DIALECT = (
    (r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"),
    (r"\p{L}", r"\w"),
    (r"\p{N}", r"\w"),  # \d alone doesn't match numbers such as ²
    (r"\p{Z}", "\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"),
)


def check_shape(value: Mapping[str, Any], shape: Shape) -> None:
    """Check a request against its shape.

    Raises:
        ServiceError: SerializationException for a wrong JSON type, which the service can't even read; otherwise
            ValidationException with every violated constraint.
    """
    _check_types(value, shape, "")
    violations = list(_violations(value, shape, ""))
    if violations:
        count = "1 validation error" if len(violations) == 1 else f"{len(violations)} validation errors"
        raise validation_error(f"{count} detected: {'; '.join(violations)}")


def known(value: Any, shape: Shape) -> Any:
    """Return a value without what the service ignores: members that its model doesn't have, and null members."""
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
    if value is None:  # in a list; a structure's null members count as absent
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
    """Yield violations by scalar members of a list or map; the service reports them at the list or map itself."""
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
    """Yield the constraints of a shape that a value violates."""
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
    """Return whether a value may be an instance type that this older boto3's model lacks; botocore sends it anyway."""
    installed = tuple(int(part) for part in re.findall(r"\d+", boto3.__version__)[:2])
    is_old = shape.name in _INSTANCE_TYPE_SHAPES and installed < _CURRENT_BOTO3
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
    """Compile a pattern from the model, which is written for Java."""
    for theirs, ours in _REGEX_DIALECT:
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)


# Rules across fields that apply to jobs of both kinds

LOCAL = "The local SageMaker"
_MAX_NAME_BYTES = 255  # of a file or folder, on Linux's file systems


def raise_all(problems: Iterable[str]) -> None:
    """Raise one error for all problems of a request.

    Raises:
        ServiceError: ValidationException with every broken rule, if there is one.
    """
    if found := " ".join(problems):
        raise validation_error(found)


def reserved_tags(tags: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield problems with tags that only AWS itself may set."""
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            yield f"Tag key '{tag['Key']}' can't begin with 'aws:'. This prefix is reserved for AWS use."


def check_preferences_known(request: Mapping[str, Any], model: ServiceModel) -> None:
    """Refuse InstancePreferences with a clear message if the installed boto3's model doesn't have them.

    Raises:
        ServiceError: ValidationException.
    """
    resources = request.get("ProcessingResources")
    processing = resources.get("ClusterConfig") if isinstance(resources, dict) else None
    for shape, config in (("ProcessingClusterConfig", processing), ("ResourceConfig", request.get("ResourceConfig"))):
        if not isinstance(config, dict) or "InstancePreferences" not in config:
            continue
        known: Any = model.shape_for(shape)
        if "InstancePreferences" not in known.members:
            needed = f"boto3 1.43.90 or newer; boto3 {boto3.__version__} is installed beside it"
            raise validation_error(f"For InstancePreferences, {LOCAL} needs {needed}.")


def empty_words(specification: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each of the command's lists that has an empty string in it."""
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        if "" in specification.get(name, []):
            yield f"{name} can't have an empty string in it."


def path_problems(name: str, local_path: str, *, under: PurePosixPath, may_be_root: bool) -> Iterator[str]:
    """Yield why a LocalPath can't be a container's folder below `under`."""
    if "\0" in local_path:
        yield f"{name}: LocalPath {local_path!r} has a null character, which no path can have."
        return
    path = PurePosixPath(local_path)
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in path.parts):
        yield f"{name}: LocalPath '{local_path}' has a name of more than {_MAX_NAME_BYTES} bytes."
    is_under = under in path.parents or (may_be_root and path == under)
    if ".." in path.parts or not is_under:
        yield f"{name}: LocalPath '{local_path}' must be under {under}."


def resource_problems(config: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield what the API reference doesn't allow in a ClusterConfig or ResourceConfig."""
    preferences = config.get("InstancePreferences")
    if ("InstanceType" in config) == (preferences is not None):
        yield f"{name} must have exactly one of InstanceType and InstancePreferences."
    elif preferences is None and "InstanceCount" not in config:
        yield f"{name} must have InstanceCount beside InstanceType."
    elif preferences is not None:
        yield from _preferences(preferences, name, one_for_all="InstanceCount" in config)


def _preferences(preferences: Sequence[Mapping[str, Any]], name: str, *, one_for_all: bool) -> Iterator[str]:
    types = [item["InstanceType"] for item in preferences]
    if len(set(types)) < len(types):
        yield "An instance type can appear only once in InstancePreferences."
    counted = sum("InstanceCount" in item for item in preferences)
    if counted != (0 if one_for_all else len(preferences)):
        yield f"InstanceCount must be in every one of the InstancePreferences, or in {name} and in none of them."


def duplicates(where: str, what: str, values: Iterable[str]) -> Iterator[str]:
    """Yield a problem for each value that occurs more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{where}: {what} '{value}' is used {count} times. It must be unique."
