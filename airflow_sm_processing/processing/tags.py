"""Tags as SageMaker takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_processing.processing.coercion import as_text

__all__ = ["format_tags"]


def format_tags(tags: Any) -> Any:
    """Return `[{"Key": …, "Value": …}]` for a dict, with strings for what has one; a list of such is copied.

    What is neither, such as JSON text, is left to whoever reads the definition.
    """
    if isinstance(tags, Mapping):
        return [{"Key": _text(key), "Value": _text(value)} for key, value in tags.items()]
    return tags if tags is None or isinstance(tags, str) else list(tags)


def _text(value: object) -> object:
    try:
        return as_text(value)
    except ValueError:
        return value
