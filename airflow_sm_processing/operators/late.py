"""What only a run knows: templates, and what other tasks are to give."""

from __future__ import annotations

from typing import Any

from airflow_sm_processing.processing.values import LATE

__all__ = ["LATE", "hide_late", "is_known"]

_TEMPLATE_MARKS = ("{{", "{%", "{#")


def is_known(value: Any) -> bool:
    """Tell whether all of a value is known before a run."""
    plain = hide_late(value)
    return plain is not LATE and not (isinstance(plain, list) and LATE in plain)


def hide_late(value: Any) -> Any:
    """Put LATE in the place of templates, XComArgs and whatever else only a run knows."""
    if isinstance(value, str):
        return LATE if any(mark in value for mark in _TEMPLATE_MARKS) else value
    if isinstance(value, dict):
        return {key: hide_late(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide_late(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else LATE
