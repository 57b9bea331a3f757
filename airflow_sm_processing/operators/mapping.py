"""Definition objects in `.partial()` and `.expand()`.

Airflow serialises, counts and resolves plain structures by itself, but sees neither the fields of other objects nor the
references inside of them. So the objects become plain dicts before Airflow gets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator, OperatorPartial

from airflow_sm_processing.operators.outputs import (
    ElementReference,
    plain_parameter,
    with_folder_parameters,
    with_uris,
)

__all__ = ["ProcessingPartial", "wrap_references"]


class ProcessingPartial(OperatorPartial):
    """The result of `.partial()` of our operators, which accepts definition objects wherever a value can be."""

    @classmethod
    def of(cls, partial: OperatorPartial) -> ProcessingPartial:
        """Return a `ProcessingPartial` in place of Airflow's own partial."""
        partial._expand_called = True  # noqa: SLF001  # Airflow's flag: this object now warns if it is never expanded
        return cls(operator_class=partial.operator_class, kwargs=partial.kwargs, params=partial.params)

    def expand(self, **mapped_kwargs: Any) -> MappedOperator:
        """Map over the arguments' elements."""
        self._check_names(mapped_kwargs)
        return super().expand(**{name: _mappable(value) for name, value in _plain(mapped_kwargs).items()})

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """Map over whole dicts of keyword arguments."""
        if not isinstance(kwargs, XComArg):
            given = {name: value for item in kwargs if isinstance(item, Mapping) for name, value in item.items()}
            self._check_names(given)
            kwargs = [_mappable(_plain(item)) if isinstance(item, Mapping) else item for item in kwargs]
        return super().expand_kwargs(kwargs, strict=strict)

    def _check_names(self, given: Mapping[str, Any]) -> None:
        operator: Any = self.operator_class  # one of ours
        self._expand_called = True  # in case of an error below, Airflow needn't also warn that the task is never mapped
        operator.check_names(given, task_id=self.kwargs["task_id"])


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return with_folder_parameters({name: with_uris(plain_parameter(name, value)) for name, value in parameters.items()})


def _mappable(plain: Any) -> Any:
    """Return the value to map over, with its elements' references wrapped; the value itself may be an XComArg."""
    if isinstance(plain, dict):
        return {key: wrap_references(item) for key, item in plain.items()}
    return [wrap_references(item) for item in plain] if isinstance(plain, list) else plain


def wrap_references(value: Any) -> Any:
    """Return an element to map over, or a part of one, with its references in a form that Airflow accepts there."""
    if isinstance(value, XComArg):
        return ElementReference(value)
    if isinstance(value, dict):
        return {key: wrap_references(item) for key, item in value.items()}
    if isinstance(value, list):
        return [wrap_references(item) for item in value]
    return value
