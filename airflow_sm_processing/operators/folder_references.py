"""References to the outputs of other tasks, which are folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_sm_processing.operators.getting import ClaimingTask
from airflow_sm_processing.processing.s3_uris import as_folder, is_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FolderReference", "as_folders", "with_folder_parameters", "with_folder_references"]

_PARAMETERS = frozenset({"inputs", "code"})
"""What a job reads: a variable of `env` that is called `source` is text like any other."""

_PLACES = frozenset({"source", "s3_uri", "code"})
"""The fields that say where data is."""


class FolderReference(PlainXComArg):
    """A reference to an output's URI that resolves with a slash at its end.

    The XCom has none, for paths are joined to it; as an input, it would take what begins alike along.
    """

    __slots__ = ()

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """Return the URI as an input's place."""
        return as_folders(super().resolve(context))


def with_folder_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's plain parameters in which each reference to an output that the job reads is one to a folder."""
    return {
        name: with_folder_references(value, name) if name in _PARAMETERS else value
        for name, value in parameters.items()
    }


def with_folder_references(value: Any, field: str = "") -> Any:
    """Return plain parameters in which each reference to an output, where data is named, is one to a folder.

    What has none in it is returned as it is.
    """
    if isinstance(value, PlainXComArg):
        is_folder = field in _PLACES and not isinstance(value, FolderReference) and _is_to_an_output(value)
        return FolderReference(value.operator, value.key) if is_folder else value
    if isinstance(value, dict):
        converted = {key: with_folder_references(item, key) for key, item in value.items()}
        return converted if any(converted[key] is not item for key, item in value.items()) else value
    if type(value) in {list, tuple}:
        items = [with_folder_references(item, field) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _is_to_an_output(reference: PlainXComArg) -> bool:
    """Return whether a reference is to an output of a processing task, as far as its outputs are known."""
    operator: Any = reference.operator
    if isinstance(operator, ClaimingTask):
        outputs, own = getattr(operator, "outputs", None), operator.own_outputs
    elif isinstance(operator, MappedOperator) and issubclass(operator.operator_class, ClaimingTask):
        outputs, own = operator.partial_kwargs.get("outputs"), operator.operator_class.own_outputs
    else:
        return False
    items = outputs if isinstance(outputs, (list, tuple)) else ()
    names = [item.get("output_name") if isinstance(item, dict) else None for item in items]
    return reference.key in {*own, *(name or f"output-{position}" for position, name in enumerate(names, 1))}


def as_folders(value: Any) -> Any:
    """Return an output's URI, or those of a mapped task's instances, as an input's place."""
    from airflow_sm_processing.operators.resolved import resolved

    plain = resolved(value)
    if isinstance(plain, str):
        return as_folder(plain) if is_s3_uri(plain) else plain
    return [as_folders(item) for item in plain] if isinstance(plain, (list, tuple)) else plain
