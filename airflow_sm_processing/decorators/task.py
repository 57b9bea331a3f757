"""`@task.sm_processing`, and the same decorator for editors and type checkers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import attr
from airflow.sdk import XComArg
from airflow.sdk.bases.decorator import _TaskDecorator

from airflow_sm_processing.decorators.arguments import with_references
from airflow_sm_processing.decorators.operator import FunctionProcessingOperator
from airflow_sm_processing.decorators.source import check_function
from airflow_sm_processing.operators.assets import declare_partial
from airflow_sm_processing.operators.mapping import wrap_references
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import ParamSpec, TypeVar

    from airflow.sdk.bases.decorator import Task

    from airflow_sm_processing.processing.models import InstancePreference, ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.values import Late

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["sm_processing_task"]

_DECLARED = ("inlets", "outlets", "inputs")


@overload
def sm_processing_task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def sm_processing_task(
    *,
    image_uri: str | Late = ...,
    role: str | Late = ...,
    instance_type: str | Late = ...,
    instance_count: int | str | Late = ...,
    instance_preferences: Sequence[str | Mapping[str, Any] | InstancePreference] | Late = ...,
    requirements: Sequence[str] | Late = ...,
    python: str | Late = ...,
    inputs: Sequence[ProcessingInput | Mapping[str, Any]] | Late = ...,
    outputs: Sequence[ProcessingOutput | Mapping[str, Any] | str] | Late = ...,
    env: Mapping[str, Any] | Late = ...,
    deferrable: bool | None = ...,
    multiple_outputs: bool | None = ...,
    max_xcom_bytes: int = ...,
    skip_on_exit_code: int | str | Collection[int | str] | None = ...,
    fail_on_exit_code: int | Collection[int] | None = ...,
    **parameters: Any,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def sm_processing_task(function: Callable[..., Any] | None = None, /, **parameters: Any) -> Any:
    """Make a function a task that runs it as a SageMaker processing job; what `@task.sm_processing` is.

    Args:
        function: The function, where the decorator stands without parameters.
        parameters: Those of `FunctionProcessingOperator` and, with it, of `ScriptProcessingOperator` without the
            script's; `multiple_outputs`; and those of every Airflow operator.

    Raises:
        DefinitionError: The function needs something that wouldn't be in the container.
    """
    multiple_outputs = parameters.pop("multiple_outputs", None)
    plain = {name: to_plain(value) for name, value in parameters.items()}

    def decorate(function: Callable[..., Any]) -> FunctionTask:
        check_function(function)
        return FunctionTask(
            function=function,
            multiple_outputs=attr.NOTHING if multiple_outputs is None else multiple_outputs,  # type: ignore[arg-type]  # as Airflow's own decorators do: the type hint decides
            operator_class=FunctionProcessingOperator,
            kwargs=dict(plain),
            decorator_name="task.sm_processing",
        )

    return decorate if function is None else decorate(function)


class FunctionTask(_TaskDecorator[..., Any, FunctionProcessingOperator]):
    """What the decorator returns: Airflow's own, which takes definition objects wherever a value can be."""

    def expand(self, **arguments: Any) -> XComArg:
        """Map over the arguments' elements."""
        return _declared(super().expand(**{name: _mappable(value) for name, value in arguments.items()}))

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> XComArg:
        """Map over whole dicts of arguments."""
        if not isinstance(kwargs, XComArg):
            kwargs = [_mappable(item) for item in kwargs]
        return _declared(super().expand_kwargs(kwargs, strict=strict))

    def partial(self, **arguments: Any) -> FunctionTask:
        """Fix some arguments before mapping over others."""
        return super().partial(**with_references(arguments))  # type: ignore[return-value]  # it is of this class

    def override(self, **parameters: Any) -> FunctionTask:
        """Return the same task with other parameters."""
        plain = {name: to_plain(value) for name, value in parameters.items()}
        return super().override(**plain)  # type: ignore[return-value]  # as above


def _declared(made: XComArg) -> XComArg:
    """Return a mapped task with the assets that it reads and emits, as every processing operator declares them."""
    operator: Any = made.operator  # type: ignore[attr-defined]  # it is a plain one
    arguments = {**operator.partial_kwargs, "task_id": operator.task_id, "dag": operator.dag}
    declare_partial(arguments)
    operator.partial_kwargs.update({name: arguments[name] for name in _DECLARED if name in arguments})
    return made


def _mappable(value: Any) -> Any:
    """Return what is mapped over, with the references in its elements; the value itself may be one."""
    value = with_references(value)
    if isinstance(value, Mapping):
        return {key: wrap_references(item) for key, item in value.items()}
    return [wrap_references(item) for item in value] if isinstance(value, (list, tuple)) else value
