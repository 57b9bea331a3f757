"""Inputs whose source is a list of places, such as an output of a mapped task: each place is an input of its own."""

from __future__ import annotations

from typing import Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.truths import truth
from airflow_sm_processing.processing.values import from_json, rule_of_structure

__all__ = ["one_for_each_source"]


def one_for_each_source(path: str, item: Any, problems: list[Problem]) -> list[Any]:
    """Return the fields of an input, or of one for each place that its source lists, in numbered folders.

    Args:
        path: The input as its user writes it, such as `inputs[0]`.
        item: Its fields.
        problems: Where to note a list that no inputs can be made of.
    """
    nested = item.get("s3_input") if isinstance(item, dict) else None
    fields, field = (nested, "s3_uri") if isinstance(nested, dict) else (item, "source")
    sources = _read(fields.get(field)) if isinstance(fields, dict) else None
    if not isinstance(sources, (list, tuple)):
        if _is_pythons_text(sources):
            rule = rule_of_structure(sources, "place or a list of places")
            problems.append(Problem(f"{path}.{field}", sources, rule))
            return []
        return [item]
    if truth(item.get("optional")) is True:
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


def _read(source: Any) -> Any:
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
