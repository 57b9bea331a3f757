"""Templates and references that gave nothing where a place or a name has to be.

Without this, `source="{{ none }}"` would be a local path called `None`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions._internal.mixins import ResolveMixin

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.late import LATE, hide_late
from airflow_sm_processing.operators.truths import truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["described", "gave_nothing", "nothing_problems", "without_left_out"]

_PLACES = frozenset({"source", "s3_uri", "destination", "local_path", "code", "role", "image_uri"})
"""What has to be something: of another text parameter, an empty one is as good as none."""
_TEXTS = (
    "role",
    "image_uri",
    "instance_type",
    "code",
    "script_name",
    "base_job_name",
    "job_name",
    "volume_kms_key",
    "output_kms_key",
    "kms_key",
    "inputs",
    "outputs",
    "network_config",
)
"""The parameters whose texts, at any depth, are places and names: `None` in `arguments` or `env` may be meant."""
_LEADING = re.compile(r"\s*\{\{(?:(?!\}\}).)*\}\}", re.DOTALL)
_MARKS = ("{{", "{%", "{#")
_OPTIONAL = "optional"


def gave_nothing(written: Any, rendered: Any) -> bool:
    """Tell whether a template or reference gave None or an empty text, or a text that is `None` or begins with it.

    Args:
        written: As it stands in the DAG file.
        rendered: What a run made of it.
    """
    if hide_late(written) is not LATE:
        return False
    if rendered is None or (isinstance(rendered, str) and rendered.strip() in {"", "None"}):
        return True
    return isinstance(written, str) and isinstance(rendered, str) and _begins_with_nothing(written, rendered)


def _begins_with_nothing(written: str, rendered: str) -> bool:
    """Tell whether the template that a text begins with gave nothing: `{{ none }}/a.csv` is no path."""
    found = _LEADING.match(written)
    if found is None:
        return False
    rest = written[found.end() :]
    if any(mark in rest for mark in _MARKS):
        return rest.startswith("/") and rendered.startswith("None/")
    return rendered in {rest, f"None{rest}"}


def without_left_out(written: Any, inputs: Any) -> Any:
    """Return a task's inputs with None for the source of each optional one whose template gave nothing."""
    if not isinstance(inputs, (list, tuple)):
        return inputs
    return [_or_left_out(_part(written, index), item) for index, item in enumerate(inputs)]


def _or_left_out(written: Any, item: Any) -> Any:
    if not isinstance(item, dict) or truth(item.get(_OPTIONAL)) is not True:
        return item
    fields = dict(item)
    if gave_nothing(_part(written, "source"), item.get("source")):
        fields["source"] = None
    nested = item.get("s3_input")
    if isinstance(nested, dict) and gave_nothing(_part(_part(written, "s3_input"), "s3_uri"), nested.get("s3_uri")):
        fields["s3_input"] = None
    return fields


def nothing_problems(written: Mapping[str, Any], rendered: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the places and names for which a template or reference gave nothing.

    Args:
        written: The task's parameters as they stand in the DAG file.
        rendered: As a run made them.
    """
    for name in _TEXTS:
        if name in written and name in rendered:
            yield from _problems(name, name, written[name], rendered[name])


def _problems(path: str, field: str, written: Any, rendered: Any) -> Iterator[Problem]:
    if isinstance(written, dict) and isinstance(rendered, dict):
        for key in written.keys() & rendered.keys() if not _is_left_out(rendered) else ():
            yield from _problems(f"{path}.{key}", key, written[key], rendered[key])
    elif isinstance(written, (list, tuple)) and isinstance(rendered, (list, tuple)):
        for index, (before, after) in enumerate(zip(written, rendered, strict=False)):
            yield from _problems(f"{path}[{index}]", field, before, after)
    elif gave_nothing(written, rendered) and (field in _PLACES or str(rendered or "").strip()):
        yield Problem(path, rendered, f"{described(written)} gave nothing{_way_out(path)}")


def _is_left_out(item: Mapping[str, Any]) -> bool:
    is_optional = truth(item.get(_OPTIONAL)) is True
    return is_optional and not item.get("source") and not item.get("s3_input")


def _way_out(path: str) -> str:
    is_source = path.startswith("inputs[") and path.endswith(("source", "s3_uri"))
    return "; if its upstream task may be skipped, optional=True leaves the input out then" if is_source else ""


def described(written: Any) -> str:
    """Name a template as its author wrote it, or a reference by what it refers to."""
    if isinstance(written, ResolveMixin):
        named = [f"XCom {key!r} of task {operator.task_id}" for operator, key in written.iter_references()]
        return f"the reference to {' and '.join(named)}"
    return f"the template {written!r}"


def _part(value: Any, key: Any) -> Any:
    """Return what stands at a place of the DAG file's value; None where it is a template or reference as a whole."""
    try:
        return value[key] if isinstance(value, (dict, list, tuple)) else None
    except (KeyError, IndexError):
        return None
