"""What the instances of a mapped task are given in the DAG file, as far as that is known before a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.xcom_arg import XComArg

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow.sdk.definitions.mappedoperator import MappedOperator

__all__ = ["mapped_sets", "shared_parameters"]


def shared_parameters(task: MappedOperator) -> dict[str, Any]:
    """Give what all instances of a mapped task have: of the DAG, the task group and `partial()`, the last first."""
    group = getattr(task.task_group, "default_args", None)
    defaults = {**(task.dag.default_args if task.dag else {}), **(group or {})}
    defaults.update(task.partial_kwargs.get("default_args") or {})
    return {**defaults, **task.partial_kwargs}


def mapped_sets(expanded: Any, *, together: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield what is mapped over, of which nothing may be known.

    Args:
        expanded: What the task is expanded with.
        together: Parameters of which each element is yielded with each of the others', for one ARN is made of them. Of
            any other parameter, each element is yielded once, since policies add up.
    """
    if isinstance(expanded, Mapping):
        lists = {name: list(value) for name, value in expanded.items() if isinstance(value, (list, tuple))}
        first = {name: items[0] if items else None for name, items in lists.items()}
        plain = {**expanded, **first}
        among = {name: items for name, items in lists.items() if name in together}
        yield from ({**plain, **dict(zip(among, items, strict=True))} for items in product(*among.values()))
        for name in sorted(lists.keys() - among.keys()):
            yield from ({**plain, name: item} for item in lists[name][1:])
    elif isinstance(expanded, Iterable) and not isinstance(expanded, (str, XComArg)):  # which only looks like one
        yield from (dict(item) for item in expanded if isinstance(item, Mapping))
