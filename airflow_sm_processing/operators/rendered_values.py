"""Parameters as a run made them: inputs that are lists of places, and templates and references that gave nothing.

Without the latter, `source="{{ none }}"` would be a local path called `None`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions._internal.mixins import ResolveMixin

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.templating import LATE, as_bool, hide_unresolved
from airflow_sm_processing.processing.values import from_json, rule_of_structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["described", "gave_nothing", "missing_value_problems", "one_for_each_source", "without_left_out"]

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
    """Return whether a template or reference gave None or an empty text, or a text that is `None` or begins with it.

    Args:
        written: As it stands in the DAG file.
        rendered: What a run made of it.
    """
    if hide_unresolved(written) is not LATE:
        return False
    if rendered is None or (isinstance(rendered, str) and rendered.strip() in {"", "None"}):
        return True
    return isinstance(written, str) and isinstance(rendered, str) and _begins_with_nothing(written, rendered)


def _begins_with_nothing(written: str, rendered: str) -> bool:
    """Return whether the template that a text begins with gave nothing: `{{ none }}/a.csv` is no path."""
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
    if not isinstance(item, dict) or as_bool(item.get(_OPTIONAL)) is not True:
        return item
    fields = dict(item)
    if gave_nothing(_part(written, "source"), item.get("source")):
        fields["source"] = None
    nested = item.get("s3_input")
    if isinstance(nested, dict) and gave_nothing(_part(_part(written, "s3_input"), "s3_uri"), nested.get("s3_uri")):
        fields["s3_input"] = None
    return fields


def missing_value_problems(written: Mapping[str, Any], rendered: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the places and names for which a template or reference gave nothing.

    Args:
        written: The task's parameters as they stand in the DAG file.
        rendered: As a run made them.
    """
    for name in _TEXTS:
        if name in written and name in rendered:
            yield from _missing_in(name, name, written[name], rendered[name])


def _missing_in(path: str, field: str, written: Any, rendered: Any) -> Iterator[Problem]:
    if isinstance(written, dict) and isinstance(rendered, dict):
        for key in written.keys() & rendered.keys() if not _is_left_out(rendered) else ():
            yield from _missing_in(f"{path}.{key}", key, written[key], rendered[key])
    elif isinstance(written, (list, tuple)) and isinstance(rendered, (list, tuple)):
        for index, (before, after) in enumerate(zip(written, rendered, strict=False)):
            yield from _missing_in(f"{path}[{index}]", field, before, after)
    elif gave_nothing(written, rendered) and (field in _PLACES or str(rendered or "").strip()):
        yield Problem(path, rendered, f"{described(written)} gave nothing{_way_out(path)}")


def _is_left_out(item: Mapping[str, Any]) -> bool:
    is_optional = as_bool(item.get(_OPTIONAL)) is True
    return is_optional and not item.get("source") and not item.get("s3_input")


def _way_out(path: str) -> str:
    is_source = path.startswith("inputs[") and path.endswith(("source", "s3_uri"))
    return "; if its upstream task may be skipped, optional=True leaves the input out then" if is_source else ""


def described(written: Any) -> str:
    """Return a template as its author wrote it, or a reference by what it refers to."""
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


# Inputs whose source is a list of places, such as an output of a mapped task: each place is an input of its own


def one_for_each_source(path: str, item: Any, problems: list[Problem]) -> list[Any]:
    """Return the fields of an input, or of one for each place that its source lists, in numbered folders.

    Args:
        path: The input as its user writes it, such as `inputs[0]`.
        item: Its fields.
        problems: Where to note a list that no inputs can be made of.
    """
    nested = item.get("s3_input") if isinstance(item, dict) else None
    fields, field = (nested, "s3_uri") if isinstance(nested, dict) else (item, "source")
    sources = _listed_places(fields.get(field)) if isinstance(fields, dict) else None
    if not isinstance(sources, (list, tuple)):
        if _is_pythons_text(sources):
            rule = rule_of_structure(sources, "place or a list of places")
            problems.append(Problem(f"{path}.{field}", sources, rule))
            return []
        return [item]
    if as_bool(item.get("optional")) is True:
        sources = [source for source in sources if source is not None]
        if not sources:
            return []
    wrong = [source for source in sources if not _may_be_place(source)]
    if wrong:
        rule = "must be S3 URIs or local paths: name an output of the upstream task, such as task.output['train']"
        problems.append(Problem(f"{path}.{field}", wrong[0], rule))
        return []
    if not sources:
        problems.append(Problem(f"{path}.{field}", [], "is a list of no places: no upstream task has left one"))
    if fields is item:
        return [_numbered(item, position, source=source) for position, source in enumerate(sources)]
    return [
        _numbered(item, position, s3_input=_in_folder({**fields, "s3_uri": source}, "local_path", position))
        for position, source in enumerate(sources)
    ]


def _listed_places(source: Any) -> Any:
    """Return the places that JSON text lists, such as a template makes of a list; anything else as it is."""
    if not isinstance(source, str) or source.lstrip()[:1] != "[":
        return source
    try:
        places = from_json(source)
    except (ValueError, RecursionError):
        return source
    are_texts = isinstance(places, list) and all(isinstance(place, str) for place in places)
    return places if are_texts else source  # `[1]` is a folder


def _is_pythons_text(source: Any) -> bool:
    """Return whether a place is the text that Python has for a list of texts."""
    return isinstance(source, str) and source.lstrip()[:2] == "['" and source.rstrip()[-2:] == "']"


def _may_be_place(source: Any) -> bool:
    return isinstance(source, str) or not isinstance(source, (bool, int, float, dict, list, tuple, type(None)))


def _numbered(item: dict[str, Any], position: int, **places: Any) -> dict[str, Any]:
    name = item.get("input_name")
    named = {"input_name": f"{name}-{position}"} if isinstance(name, str) else {}
    return _in_folder({**item, **places, **named}, "destination", position)


def _in_folder(fields: dict[str, Any], field: str, position: int) -> dict[str, Any]:
    folder = fields.get(field)
    return {**fields, field: f"{folder.rstrip('/')}/{position}"} if isinstance(folder, str) else fields
