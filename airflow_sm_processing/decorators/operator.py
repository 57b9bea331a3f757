"""Runs a function as a processing job."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator

from airflow_sm_processing.decorators.arguments import (
    argument_problems,
    called_with,
    carry,
    input_arguments,
    inputs_of,
    own_problems,
    read_requirements,
    with_own,
    with_references,
)
from airflow_sm_processing.decorators.container.values import CarryError
from airflow_sm_processing.decorators.results import OUTCOME, broken_reference
from airflow_sm_processing.decorators.source import CONTAINER, SCRIPT, FunctionCall, FunctionSource
from airflow_sm_processing.exceptions import DefinitionError, JobFailedError, Problem
from airflow_sm_processing.operators.assets import declare
from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.definitions import early_problems
from airflow_sm_processing.operators.script_processing import ScriptProcessingOperator
from airflow_sm_processing.processing.secrets import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_sm_processing.operators.attempt import Attempt
    from airflow_sm_processing.operators.modes import Modes
    from airflow_sm_processing.ownership.claim import Claimed
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.models import ProcessingInput
    from airflow_sm_processing.processing.values import Late
    from airflow_sm_processing.triggers.capacity import Refusals

__all__ = ["DEFAULT_MAX_XCOM_BYTES", "FunctionProcessingOperator"]

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
        """Take what every processing operator takes, and the function.

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
        self.requirements = requirements
        self.python = python
        self.max_xcom_bytes = max_xcom_bytes
        self.fail_on_exit_code = fail_on_exit_code
        super().__init__(
            python_callable=python_callable,
            op_args=with_references([*(op_args or ())]),
            op_kwargs=with_references(dict(op_kwargs or {})),
            code=str(CONTAINER),
            script_name=SCRIPT,
            instance_count=instance_count,
            **{**kwargs, "wait_for_completion": True},
        )
        declare(self, [item.definition for item in input_arguments([self.op_args, self.op_kwargs])])

    _code = str(CONTAINER)
    _inputs: Sequence[ProcessingInput] | None = None
    """What the job reads for the arguments, once they are known."""

    def definition_parameters(self) -> dict[str, Any]:
        """Give the parameters that define the job, by the names of `JobDefinition`'s fields."""
        own = super().definition_parameters() | {"code": self._code, "command": [self.python]}
        inputs = inputs_of(self._given()) if self._inputs is None else self._inputs
        return with_own(own, inputs=inputs, outputs=[OUTCOME])

    @classmethod
    def mapped_parameters(cls, parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give what `definition_parameters` would of a mapped task's parameters, for one set of its arguments."""
        own = {"instance_count": 1, **parameters, "code": str(CONTAINER), "script_name": SCRIPT}
        return with_own(own, inputs=inputs_of(with_references(dict(arguments))), outputs=[OUTCOME])

    def plan(self, context: Context, *, show_env: bool = False) -> dict[str, Any]:
        """Give what the task would ask of AWS, as every processing operator does."""
        with self._staged(context):
            return super().plan(context, show_env=show_env)

    def _given(self) -> dict[str, Any]:
        return inspect.signature(self.python_callable).bind_partial(*self.op_args, **self.op_kwargs).arguments

    def _check_early(self) -> None:
        problems = [
            *early_problems(self),
            *own_problems(self),
            *argument_problems(inspect.signature(self.python_callable), self._given()),
        ]
        if problems:
            raise DefinitionError(problems, subject=f"task {self.task_id}")

    def _claimed(
        self, context: Context, attempt: Attempt, refusals: Refusals | None
    ) -> tuple[Claimed, Modes, Refusals | None]:
        with self._staged(context):
            return super()._claimed(context, attempt, refusals)

    @contextmanager
    def _staged(self, context: Context) -> Iterator[None]:
        """Have the call in files during the block, in which the job is made."""
        call, inputs = self._call(context)
        with call.folder() as folder:
            self._code, self._inputs = str(folder), inputs
            try:
                yield
            finally:
                self._code, self._inputs = str(CONTAINER), None

    def _call(self, context: Context) -> tuple[FunctionCall, Sequence[ProcessingInput]]:
        from airflow_sm_processing.operators.errors import TaskDefinitionError

        subject = f"task {self.task_id}"
        try:
            arguments = called_with(self.python_callable, self.op_args, self.op_kwargs, context)
            carried = carry(arguments, lambda reference: broken_reference(reference, context))
            requirements = read_requirements(self.requirements)
        except CarryError as error:
            raise TaskDefinitionError([Problem(error.where, hidden(None), error.rule)], subject=subject) from None
        except TypeError as error:
            raise TaskDefinitionError([Problem("arguments", hidden(None), str(error))], subject=subject) from None
        except DefinitionError as error:
            raise TaskDefinitionError(error.problems, subject=subject) from None
        call = FunctionCall(
            source=FunctionSource.of(self.python_callable),
            arguments=carried.plain,
            requirements=requirements,
            multiple_outputs=self.multiple_outputs,
            max_xcom_bytes=self.max_xcom_bytes,
        )
        return call, carried.inputs

    def _finish(self, context: Context, job: ProcessingJob, description: JobDescription, modes: Modes) -> Any:
        """Make the task's end of the function's: its result, or its error."""
        from airflow_sm_processing.decorators.endings import end_of_failure

        try:
            return super()._finish(context, job, description, modes)
        except JobFailedError as error:
            bound = modes.max_transient_seconds
            raise end_of_failure(self, job, description, error, max_transient_seconds=bound) from None

    def _result(self, context: Context, job: ProcessingJob, description: JobDescription, modes: Modes) -> Any:
        """Return what the function returned."""
        from airflow_sm_processing.decorators.endings import returned

        if not description.status.is_success:
            return None
        return returned(self, job, description, context["ti"], max_transient_seconds=modes.max_transient_seconds)
