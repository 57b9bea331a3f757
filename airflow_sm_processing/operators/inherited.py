"""Parameters that a task has from `default_args`: where they contradict what the task says itself, its own word counts.

One DAG's `default_args` serve tasks of many kinds, so a contradiction with them is no mistake of the task's author, and
must not keep the DAG file from being loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["CONTRADICTABLE", "inherited", "own_over_inherited"]

CONTRADICTABLE = (
    "wait_for_completion",
    "result_files",
    "emit_assets",
    "env",
    "mask_env",
    "instance_type",
    "instance_preferences",
    "instance_count",
)
"""The parameters of a processing task that may contradict each other."""


def inherited(values: Mapping[str, Any], default_args: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the names of those values that are what `default_args` say."""
    defaults = default_args or {}
    return frozenset(name for name, value in values.items() if name in defaults and _is(value, defaults[name]))


def own_over_inherited(parameters: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a definition's parameters without the inherited ones that the task's own rule out.

    Args:
        parameters: By the names of `JobDefinition`'s fields.
        names: Those that are inherited.
    """
    given = dict(parameters)
    kind, preferences = "instance_type", "instance_preferences"
    if given.get(kind) and given.get(preferences) and (kind in names) != (preferences in names):
        given[kind if kind in names else preferences] = None
    if "instance_count" in names and preferences not in names and _have_counts(given.get(preferences)):
        given["instance_count"] = None
    return given


def _is(value: Any, default: Any) -> bool:
    plain = to_plain(default)
    return value is default or bool(type(value) is type(plain) and value == plain)


def _have_counts(preferences: Any) -> bool:
    items = preferences if isinstance(preferences, (list, tuple)) else ()
    return any(isinstance(item, dict) and item.get("instance_count") is not None for item in items)
