"""`@task.sm_processing`: a function that runs as a processing job."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, overload

import attr
from airflow.sdk import XComArg
from airflow.sdk.bases.decorator import DecoratedOperator, _TaskDecorator

from airflow_sm_processing.decorators.arguments import (
    argument_problems,
    called_with,
    encode_arguments,
    input_arguments,
    inputs_of,
    own_problems,
    read_requirements,
    with_own,
    with_references,
)
from airflow_sm_processing.decorators.container.values import EncodeError
from airflow_sm_processing.decorators.results import OUTCOME, broken_reference
from airflow_sm_processing.decorators.source import CONTAINER, SCRIPT, FunctionCall, FunctionSource, check_function
from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.mapping import wrap_references
from airflow_sm_processing.operators.outputs import declare, declare_partial
from airflow_sm_processing.operators.processing import ScriptProcessingOperator
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import ParamSpec, TypeVar

    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import Task

    from airflow_sm_processing.exceptions import JobFailedError
    from airflow_sm_processing.operators.acquire import EndedJob
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import InstancePreference, ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.values import Late

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["DEFAULT_MAX_XCOM_BYTES", "FunctionProcessingOperator", "sm_processing_task"]


DEFAULT_MAX_XCOM_BYTES = 64 * 1024


class FunctionProcessingOperator(DecoratedOperator, ScriptProcessingOperator):
    """Runs a Python function in a container image as a SageMaker processing job.

    The task's result is what the function returns. The job's name and ARN, and the S3 URI of each output, are XComs of
    their own, as with every processing operator; so is that of the output `outcome`, which holds what was returned.
    """

    custom_operator_name = "@task.sm_processing"
    needs_worker = "it returns what its function returned"
    own_outputs: Sequence[str] = (str(OUTCOME.output_name),)
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        "requirements",
        "python",
        *BaseProcessingOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **BaseProcessingOperator.template_fields_renderers,
        **DecoratedOperator.template_fields_renderers,
        "requirements": "json",
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        requirements: Sequence[str] | Late | None = None,
        python: str | Late = "python3",
        instance_count: int | str | Late = 1,
        max_xcom_bytes: int = DEFAULT_MAX_XCOM_BYTES,
        fail_on_exit_code: int | Collection[int] | None = None,
        **kwargs: Any,
    ) -> None:
        """Set the parameters of every processing operator, and the function.

        Args:
            python_callable: The function. It is sent as source: what it uses, it must import or define itself.
            op_args: Its positional arguments.
            op_kwargs: Its keyword arguments.
            requirements: Lines of a requirements file, which pip installs in the container first.
            python: The container's interpreter, 3.8 or newer.
            instance_count: Instances that run the function, each the whole of it; the first one's result counts.
            max_xcom_bytes: The largest result, in bytes of JSON, that becomes an XCom; a larger one stays in S3.
            fail_on_exit_code: Given to `sys.exit` by the function, it fails the task without a retry; likewise,
                `skip_on_exit_code` skips it.
            kwargs: Those of `BaseProcessingOperator`, but `wait_for_completion`: the result is waited for.

        Raises:
            DefinitionError: Something is wrong that no run could mend: every such problem at once.
        """
        self.python = python
        self.max_xcom_bytes = max_xcom_bytes
        self.fail_on_exit_code = fail_on_exit_code
        super().__init__(
            python_callable=python_callable,
            op_args=with_references([*(op_args or ())]),
            op_kwargs=with_references(dict(op_kwargs or {})),
            code=str(CONTAINER),
            script_name=SCRIPT,
            requirements=requirements,
            instance_count=instance_count,
            **{**kwargs, "wait_for_completion": True},
        )
        declare(self, [item.definition for item in input_arguments([self.op_args, self.op_kwargs])])

    def definition_parameters(self) -> dict[str, Any]:
        """Return the parameters that define the job, by the names of `JobDefinition`'s fields."""
        return self._definition_parameters(str(CONTAINER), inputs_of(self._given()))

    def _definition_parameters(self, code: str, inputs: Sequence[ProcessingInput]) -> dict[str, Any]:
        # Its requirements are the function's own: they are installed by what runs there.
        own = super().definition_parameters() | {"code": code, "command": [self.python], "requirements": None}
        return with_own(own, inputs=inputs, outputs=[OUTCOME])

    @classmethod
    def mapped_parameters(cls, parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `definition_parameters` would of a mapped task's parameters, for one set of its arguments."""
        own = {"instance_count": 1, **parameters, "code": str(CONTAINER), "script_name": SCRIPT, "requirements": None}
        return with_own(own, inputs=inputs_of(with_references(dict(arguments))), outputs=[OUTCOME])

    def early_problems(self) -> list[Problem]:
        """Return what is wrong with the parameters, the function's arguments among them, whatever a run brings."""
        own = own_problems(
            requirements=self.requirements,
            max_xcom_bytes=self.max_xcom_bytes,
            fail_on_exit_code=self.fail_on_exit_code,
        )
        signature = inspect.signature(self.python_callable)
        return [*super().early_problems(), *own, *argument_problems(signature, self._given())]

    @contextmanager
    def job_definition(
        self,
        context: Context,
        option_problems: Sequence[Problem] = (),
        *,
        is_excused: Callable[[Problem], bool] = lambda _: False,
    ) -> Iterator[JobDefinition]:
        """Yield the job's definition, for the block in which the job is created; the call is in files meanwhile."""
        call, inputs = self._call(context)
        with call.folder() as folder:
            yield self.read_definition(
                option_problems,
                definition_parameters=self._definition_parameters(str(folder), inputs),
                is_excused=is_excused,
            )

    def job_result(self, context: Context, ended: EndedJob) -> Any:
        """Return what the function returned."""
        from airflow_sm_processing.decorators.results import returned_value

        if not ended.description.status.is_success:
            return None
        return returned_value(
            ended,
            context["ti"],
            max_xcom_bytes=self.max_xcom_bytes,
            multiple_outputs=self.multiple_outputs,
            is_mapped_over=lambda: next(iter(self.iter_mapped_dependants()), None) is not None,
        )

    def job_failure(self, ended: EndedJob, error: JobFailedError) -> Exception:
        """Return the function's error."""
        from airflow_sm_processing.decorators.results import function_failure

        return function_failure(
            ended,
            error,
            function=self.python_callable.__name__,
            skip_on_exit_code=self.skip_on_exit_code,
            fail_on_exit_code=self.fail_on_exit_code,
            log=self.log,
        )

    def _given(self) -> dict[str, Any]:
        return inspect.signature(self.python_callable).bind_partial(*self.op_args, **self.op_kwargs).arguments

    def _call(self, context: Context) -> tuple[FunctionCall, Sequence[ProcessingInput]]:
        from airflow_sm_processing.operators.attempt import TaskDefinitionError

        subject = f"task {self.task_id}"
        try:
            arguments = called_with(self.python_callable, self.op_args, self.op_kwargs, context)
            encoded = encode_arguments(arguments, lambda reference: broken_reference(reference, context))
            requirements = read_requirements(self.requirements)
        except EncodeError as error:
            raise TaskDefinitionError([Problem(error.where, hidden(None), error.rule)], subject=subject) from None
        except TypeError as error:
            raise TaskDefinitionError([Problem("arguments", hidden(None), str(error))], subject=subject) from None
        except DefinitionError as error:
            raise TaskDefinitionError(error.problems, subject=subject) from None
        call = FunctionCall(
            source=FunctionSource.of(self.python_callable),
            arguments=encoded.plain,
            requirements=requirements,
            multiple_outputs=self.multiple_outputs,
            max_xcom_bytes=self.max_xcom_bytes,
        )
        return call, encoded.inputs


_DECLARED = ("inlets", "outlets", "inputs")


@overload
def sm_processing_task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def sm_processing_task(
    *,
    image: str | Late = ...,
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
        self._check_names()
        return _declared(super().expand(**{name: _mappable(value) for name, value in arguments.items()}))

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> XComArg:
        """Map over whole dicts of arguments."""
        self._check_names()
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

    def _check_names(self) -> None:
        """Refuse names that are no parameters here, which Airflow would find only when a mapped task runs."""
        FunctionProcessingOperator.check_names(self.kwargs, task_id=self.kwargs["task_id"])


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
