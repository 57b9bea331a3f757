"""What the instances of a mapped task are given in the DAG file, as far as that is known before a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.xcom_arg import XComArg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk.definitions.mappedoperator import MappedOperator

__all__ = ["mapped_sets", "shared_parameters"]


def shared_parameters(task: MappedOperator) -> dict[str, Any]:
    """Give what all instances of a mapped task have: of the DAG, the task group and `partial()`, the last first."""
    group = getattr(task.task_group, "default_args", None)
    defaults = {**(task.dag.default_args if task.dag else {}), **(group or {})}
    defaults.update(task.partial_kwargs.get("default_args") or {})
    return {**defaults, **task.partial_kwargs}


def mapped_sets(expanded: Any) -> Iterator[dict[str, Any]]:
    """Yield what is mapped over; each parameter's elements by themselves, since policies add up."""
    if isinstance(expanded, Mapping):
        lists = {name: list(value) for name, value in expanded.items() if isinstance(value, (list, tuple))}
        first = {name: items[0] if items else None for name, items in lists.items()}
        unknown = {name: value for name, value in expanded.items() if name not in lists}
        for name, items in lists.items():
            yield from ({**unknown, **first, name: item} for item in items)
        if not lists:
            yield unknown
    elif isinstance(expanded, Iterable) and not isinstance(expanded, (str, XComArg)):  # which only looks like one
        yield from (dict(item) for item in expanded if isinstance(item, Mapping))
