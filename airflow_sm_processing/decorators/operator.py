"""`@task.sm_processing`: a function that runs as a processing job."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, overload

import attr
from airflow.sdk import XComArg
from airflow.sdk.bases.decorator import DecoratedOperator, _TaskDecorator
from airflow.sdk.definitions._internal.mixins import ResolveMixin

from airflow_sm_processing.decorators.container.values import KIND, VALUE, EncodeError, encode
from airflow_sm_processing.decorators.results import OUTCOME, LargeResult, broken_reference
from airflow_sm_processing.decorators.source import CONTAINER, SCRIPT, FunctionCall, FunctionSource, check_function
from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.mapping import wrap_references
from airflow_sm_processing.operators.outputs import (
    declare,
    declare_partial,
    with_folder_references,
    with_optional_references,
    with_uris,
)
from airflow_sm_processing.operators.parameters import paths_as_written, read_exit_codes
from airflow_sm_processing.operators.processing import ScriptProcessingOperator
from airflow_sm_processing.operators.templating import (
    LATE,
    as_bool,
    hide_unresolved,
    missing_value_problems,
    resolved,
    without_left_out,
)
from airflow_sm_processing.processing.models import ProcessingInput
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import NATIVE_NUMBER_RULE, NativeFloat, NativeInt, json_or_as_is, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import ParamSpec, TypeVar

    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import Task
    from typing_extensions import Unpack

    from airflow_sm_processing.exceptions import JobFailedError
    from airflow_sm_processing.operators.acquire import EndedJob
    from airflow_sm_processing.operators.base import ProcessingParameters
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.values import Late

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = [
    "DEFAULT_MAX_XCOM_BYTES",
    "EncodedArguments",
    "FunctionProcessingOperator",
    "InputArgument",
    "argument_problems",
    "called_with",
    "encode_arguments",
    "input_arguments",
    "inputs_of",
    "own_problems",
    "read_requirements",
    "sm_processing_task",
    "with_own",
    "with_references",
]


def with_own(parameters: dict[str, Any], **own: Sequence[Any]) -> dict[str, Any]:
    """Add inputs and outputs to those that the user set, unless the latter aren't known yet."""
    return parameters | {name: _and(parameters.get(name), [*items]) for name, items in own.items()}


def _and(given: Any, own: list[Any]) -> Any:
    given = json_or_as_is(given)
    if given is None:
        return to_plain(own)
    return to_plain([*given, *own]) if isinstance(given, (list, tuple)) else given


def read_requirements(value: Any) -> list[str]:
    """Return the lines of a requirements file; a template may have written the list as JSON.

    Raises:
        DefinitionError: The value is something else.
    """
    problems = list(_requirements_problems(value))
    if problems:
        raise DefinitionError(problems)
    return list(json_or_as_is(value) or ())


def own_problems(*, requirements: Any, max_xcom_bytes: Any, fail_on_exit_code: Any) -> Iterator[Problem]:
    """Yield what is wrong with the parameters that only this kind of processing task has."""
    yield from _requirements_problems(hide_unresolved(requirements))
    if isinstance(max_xcom_bytes, bool) or not isinstance(max_xcom_bytes, int) or max_xcom_bytes < 0:
        yield Problem("max_xcom_bytes", max_xcom_bytes, "must be a number of bytes, 0 or more")
    yield from _fail_problems(fail_on_exit_code)


def _fail_problems(value: Any) -> Iterator[Problem]:
    try:
        read_exit_codes([[value]] if isinstance(value, str) else value)  # not a template field: text is a mistake
    except ValueError as error:
        yield Problem("fail_on_exit_code", value, str(error))


def _requirements_problems(value: Any) -> Iterator[Problem]:
    if value is None or value is LATE:
        return
    lines = json_or_as_is(value)
    if not isinstance(lines, (list, tuple)):
        yield Problem("requirements", value, "must be a list of strings, each a line of a requirements file")
        return
    for index, line in enumerate(lines):
        if line is not LATE and (not isinstance(line, str) or "\n" in line or not line.strip()):
            yield Problem(
                f"requirements[{index}]", line, "must be a line of a requirements file, such as 'pandas==2.2'"
            )


_FOLDER = "/opt/ml/processing/arguments"
_CAN_BE_NAMED = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})
_NOT_IN_NAMES = re.compile("[^A-Za-z0-9]+")


class InputArgument(ResolveMixin):
    """A ProcessingInput among the arguments, in which Airflow finds references and templates."""

    def __init__(self, definition: ProcessingInput) -> None:
        self.definition: dict[str, Any] = to_plain(definition)
        """The input's fields, possibly with an asset."""
        (self.fields,) = with_optional_references([with_folder_references(with_uris(self.definition))])

    def __repr__(self) -> str:
        return f"ProcessingInput({', '.join(f'{name}={value!r}' for name, value in self.fields.items())})"

    def iter_references(self) -> Iterable[Any]:
        """Return the tasks and XCom keys that the input needs."""
        return XComArg.iter_xcom_references(self.fields)

    def resolve(self, context: Mapping[str, Any]) -> ProcessingInput | None:
        """Return the input for a run; None if it is optional and there is nothing to read.

        Raises:
            TaskDefinitionError: A template or reference has no value, and the input isn't optional.
        """
        from airflow_sm_processing.operators.attempt import TaskDefinitionError

        rendered = resolved(context["task"].render_template(self.fields, context))
        is_optional = as_bool(rendered.get("optional", False))
        (fields,) = without_left_out([self.fields], [{**rendered, "optional": is_optional}])
        problems = [*missing_value_problems({"inputs": [self.fields]}, {"inputs": [fields]})]
        if problems:
            raise TaskDefinitionError(problems, subject=f"task {context['task'].task_id}")
        made = ProcessingInput(**fields)
        return None if made.is_left_out else made


class EncodedArguments(NamedTuple):
    """Arguments in the form in which they are sent to the container."""

    plain: dict[str, Any]
    """As JSON, by the function's parameters."""
    inputs: tuple[ProcessingInput, ...]
    """The inputs that the job needs for them."""


class _Place(NamedTuple):
    """The place of an argument in the container."""

    kind: str
    path: str


def with_references(value: Any) -> Any:
    """Return an argument with its inputs in the form that Airflow resolves.

    An argument without inputs is returned unchanged, as the same object: Airflow remembers by identity which objects
    it must not render as templates.
    """
    if isinstance(value, ProcessingInput):
        return InputArgument(value)
    if isinstance(value, dict):
        converted = {key: with_references(item) for key, item in value.items()}
        return converted if any(converted[key] is not item for key, item in value.items()) else value
    if type(value) in {list, tuple}:
        items = [with_references(item) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return type(value)(items) if changed else value
    return value


def input_arguments(value: Any) -> Iterator[InputArgument]:
    """Yield the inputs in an argument, or in a dict of all arguments."""
    if isinstance(value, InputArgument):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from input_arguments(item)


def encode_arguments(
    arguments: Mapping[str, Any], broken_reference: Callable[[LargeResult], str | None]
) -> EncodedArguments:
    """Return arguments, whose templates and references are resolved, in the form in which they are sent.

    Args:
        arguments: By the function's parameters.
        broken_reference: Returns why a large result must not be read, or None.

    Raises:
        EncodeError: An argument can't be encoded; the error names it and doesn't quote its value.
    """
    placing = _Placing(broken_reference)
    placed = {name: placing.placed(value, name) for name, value in arguments.items()}
    plain = {name: encode(value, f"argument {name}", _written) for name, value in placed.items()}
    return EncodedArguments(plain, tuple(placing.inputs))


def inputs_of(arguments: Mapping[str, Any]) -> list[ProcessingInput]:
    """Return the inputs that the job would need for the arguments in the DAG file."""
    placing = _Placing()
    for name, value in arguments.items():
        placing.placed(value, name)
    return placing.inputs


def argument_problems(signature: inspect.Signature, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the arguments and defaults of the DAG file that can't be encoded in any run."""
    defaults = {name: item.default for name, item in signature.parameters.items() if item.default is not item.empty}
    for name, value in {**defaults, **arguments}.items():
        try:
            encode(_Placing().placed(value, name), f"argument {name}", _written_or_late)
        except EncodeError as error:
            yield Problem(error.where, hidden(value), error.rule)


class _Placing:
    """Finds the inputs among arguments, and assigns each a place in the container."""

    def __init__(self, broken_reference: Callable[[LargeResult], str | None] = lambda _: None) -> None:
        self.inputs: list[ProcessingInput] = []
        self._broken_reference = broken_reference

    def placed(self, value: Any, where: str) -> Any:
        """Return a value with each input in it replaced by its place."""
        if isinstance(value, (NativeInt, NativeFloat)):
            raise EncodeError(f"argument {where}", NATIVE_NUMBER_RULE)
        place = self._place(value, where)
        if place is not None:
            return place
        if isinstance(value, Mapping):
            return {key: self.placed(item, f"{where}-{key}") for key, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(
            value, (str, bytes, bytearray)
        ):  # including Airflow's own lazy ones
            items = [self.placed(item, f"{where}-{index}") for index, item in enumerate(value)]
            return tuple(items) if isinstance(value, tuple) else items
        return value

    def _place(self, value: Any, where: str) -> _Place | None:
        if isinstance(value, InputArgument):
            value = ProcessingInput(**value.fields)
        if isinstance(value, ProcessingInput):
            return _Place("path", self._added(value, where))
        if _is_in_s3(value):
            return _Place("path", self._added(ProcessingInput(str(value)), where))
        reference = LargeResult.read(value)
        return None if reference is None else self._result(reference, where)

    def _result(self, reference: LargeResult, where: str) -> _Place:
        rule = self._broken_reference(reference)
        if rule is not None:
            raise EncodeError(f"argument {where}", rule)
        folder = self._added(ProcessingInput(reference.s3_uri), where)
        return _Place("result", f"{folder}/{reference.s3_uri.rpartition('/')[2]}")

    def _added(self, item: ProcessingInput, where: str) -> str:
        """Add an input, and return its path in the container, assigned here if it has none."""
        name = self._unused(f"argument-{_NOT_IN_NAMES.sub('-', where).strip('-')}")
        path = item.container_path
        if path is None:
            path = f"{_FOLDER}/{name.removeprefix('argument-')}"
            item = _at(item, path)
        self.inputs.append(item if item.input_name else dataclasses.replace(item, input_name=name))
        return str(path)

    def _unused(self, name: str) -> str:
        used = {item.input_name for item in self.inputs}
        return name if name not in used else f"{name}-{len(used)}"


def _at(item: ProcessingInput, path: str) -> ProcessingInput:
    """Return an input with its path in the container set, in whichever field its kind of input has it."""
    if item.dataset_definition is not None:
        dataset: Any = item.dataset_definition
        return dataclasses.replace(item, dataset_definition=dataclasses.replace(dataset, local_path=path))
    if item.s3_input is not None and not item.s3_input.is_implied:
        return dataclasses.replace(item, s3_input=dataclasses.replace(item.s3_input, local_path=path))
    return dataclasses.replace(item, destination=path)


def _written(value: Any) -> Any:
    return {KIND: value.kind, VALUE: value.path} if isinstance(value, _Place) else None


def _written_or_late(value: Any) -> Any:
    return True if isinstance(value, ResolveMixin) else _written(value)


def _is_in_s3(value: Any) -> bool:
    """Return whether a value is an Airflow `ObjectStoragePath` in S3, without importing that class."""
    module: Any = sys.modules.get("airflow.sdk.io.path")
    return module is not None and isinstance(value, module.ObjectStoragePath) and value.protocol == "s3"


def called_with(
    function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """Return every argument by its parameter: from the call, else from the context, else the default.

    Raises:
        TypeError: The function can't be called with these arguments.
    """
    signature = inspect.signature(function)
    given = signature.bind_partial(*args, **kwargs).arguments
    named = {name for name, item in signature.parameters.items() if item.kind in _CAN_BE_NAMED}
    from_context = {name: context[name] for name in named if name in context and name not in given}
    bound = signature.bind(*args, **{**kwargs, **from_context})
    bound.apply_defaults()
    return dict(bound.arguments)


DEFAULT_MAX_XCOM_BYTES = 64 * 1024


class FunctionProcessingOperator(DecoratedOperator, ScriptProcessingOperator):
    """Runs a Python function in a container image as a SageMaker processing job.

    The task's result is what the function returns. The job's name and ARN, and the S3 URI of each output, are XComs of
    their own, as with every processing operator. One of these outputs, `outcome`, holds what was returned.
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
            python_callable: The function. It is sent as source, so it has to import or define everything that it uses.
            op_args: The function's positional arguments.
            op_kwargs: The function's keyword arguments.
            requirements: The lines of a requirements file, which pip installs in the container first.
            python: The container's interpreter, 3.8 or newer.
            instance_count: The number of instances, each of which runs the whole function; the first one's result
                counts.
            max_xcom_bytes: The size limit of a result that becomes an XCom, in bytes of JSON; a larger one stays in S3.
            fail_on_exit_code: The exit code of `sys.exit` in the function, or several, that fail the task without a
                retry; `skip_on_exit_code` skips it.
            kwargs: The common parameters of all processing operators, except `wait_for_completion`.

        Raises:
            DefinitionError: Something is wrong that doesn't depend on a run; all such problems at once.
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
        # The requirements are the function's own: the runner in the container installs them.
        own = super().definition_parameters() | {"code": code, "command": [self.python], "requirements": None}
        return with_own(own, inputs=inputs, outputs=[OUTCOME])

    @classmethod
    def mapped_parameters(cls, parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `definition_parameters` would return for a mapped task, with one set of its arguments."""
        own = {"instance_count": 1, **parameters, "code": str(CONTAINER), "script_name": SCRIPT, "requirements": None}
        return with_own(own, inputs=inputs_of(with_references(dict(arguments))), outputs=[OUTCOME])

    def early_problems(self) -> list[Problem]:
        """Return the problems with parameters and the function's arguments that don't depend on a run."""
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
        """Yield the job's definition; the files of the call exist until the block ends, which creates the job."""
        call, inputs = self._call(context)
        with call.folder() as folder:
            parameters = self._definition_parameters(str(folder), inputs)
            definition = self.read_definition(option_problems, definition_parameters=parameters, is_excused=is_excused)
            with paths_as_written(self._parameters(parameters), self._folder()):
                yield definition

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
    requirements: Sequence[str] | Late = ...,
    python: str | Late = ...,
    max_xcom_bytes: int = ...,
    fail_on_exit_code: int | Collection[int] | None = ...,
    **parameters: Unpack[ProcessingParameters],
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def sm_processing_task(function: Callable[..., Any] | None = None, /, **parameters: Any) -> Any:
    """Return a task that runs a function as a SageMaker processing job; `@task.sm_processing` is the same.

    Args:
        function: The function, if the decorator is used without parameters.
        parameters: The parameters below, `multiple_outputs`, and those of every Airflow operator.

    Raises:
        DefinitionError: The function needs something that isn't in the container.
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
    """The object that the decorator returns: Airflow's own, extended to take definition objects as any value."""

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
        """Refuse unknown parameter names, which Airflow would report only when a mapped task runs."""
        FunctionProcessingOperator.check_names(self.kwargs, task_id=self.kwargs["task_id"])


def _declared(made: XComArg) -> XComArg:
    """Return a mapped task with its inlets and outlets declared, as every processing operator declares them."""
    operator: Any = made.operator  # type: ignore[attr-defined]  # it is a plain XComArg
    arguments = {**operator.partial_kwargs, "task_id": operator.task_id, "dag": operator.dag}
    declare_partial(arguments)
    operator.partial_kwargs.update({name: arguments[name] for name in _DECLARED if name in arguments})
    return made


def _mappable(value: Any) -> Any:
    """Return the value to map over, with its elements' references wrapped; the value itself may be a reference."""
    value = with_references(value)
    if isinstance(value, Mapping):
        return {key: wrap_references(item) for key, item in value.items()}
    return [wrap_references(item) for item in value] if isinstance(value, (list, tuple)) else value
