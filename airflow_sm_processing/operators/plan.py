"""What a task would ask of AWS when it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.iam.plan import plan_job
from airflow_sm_processing.iam.statements import UNKNOWN_ACCOUNT, UNKNOWN_REGION, Place, Ways, account_in, partition_of
from airflow_sm_processing.operators.attempt import Attempt, TaskDefinitionError
from airflow_sm_processing.operators.result_files import read_result_files
from airflow_sm_processing.processing.values import LATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import Context

    from airflow_sm_processing.exceptions import Problem
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.iam.plan import JobPlan
    from airflow_sm_processing.operators.wait_options import WaitOptions
    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["PLACEHOLDER", "PlannedTask", "outputs_read", "plan_task", "ways_of"]

PLACEHOLDER = re.compile(r"<[^<>]+>")
"""Stands in a plan for what isn't known yet."""


class PlannedTask(Protocol):
    """What a plan asks of a processing operator."""

    task_id: str
    own_outputs: Sequence[str]
    result_files: Any

    @property
    def connection(self) -> AwsConnection:
        """Which AWS the task talks to."""

    @property
    def hook(self) -> ProcessingHook:
        """The hook of that connection."""

    def read_wait_options(self) -> tuple[WaitOptions, list[Problem]]:
        """Return how the task waits, and what is wrong with the parameters that say so."""


def plan_task(
    task: PlannedTask,
    context: Context,
    job_definition: Callable[..., AbstractContextManager[JobDefinition]],
    *,
    account: str | None = None,
    region: str | None = None,
) -> JobPlan:
    """Plan the first job of a task instance whose parameters are rendered.

    Args:
        task: The rendered task.
        context: Whose run it would be.
        job_definition: The task's own `job_definition`, or one that gives another definition.
        account: The account of the jobs, if it is known.
        region: Their region; the connection's if None.

    Raises:
        TaskDefinitionError: Something is wrong with the task's parameters.
        UploadError: A local file can't be read.
    """
    options, problems = task.read_wait_options()
    try:
        with job_definition(context, problems, is_excused=_is_of_a_placeholder) as definition:
            role, connection = str(definition.role), task.connection
            region = region or _configured_region(task)
            place = Place(
                account=account or account_in(role) or UNKNOWN_ACCOUNT,
                region=region or UNKNOWN_REGION,
                partition=partition_of(region=region, role=role, image_uri=str(definition.written_image)),
            )
            return plan_job(
                definition,
                Attempt(context).asking(),
                place,
                ways=ways_of(options),
                bucket=connection.default_bucket,
                prefix=connection.default_bucket_prefix,
                reads=outputs_read(task.own_outputs, task.result_files),
                is_excused=_is_of_a_placeholder,
            )
    except DefinitionError as error:
        raise TaskDefinitionError.of(error, task_id=task.task_id) from error


def ways_of(options: WaitOptions) -> Ways:
    """Return how a task waits, for the permissions that this takes."""
    return Ways(
        waits=options.wait_for_completion,
        defers=options.wait_for_completion and options.is_deferrable,
        follows_log=options.logs is True,
    )


def outputs_read(own: Sequence[str], result_files: Any) -> tuple[str, ...]:
    """Return the outputs that a task itself reads when its job has ended: those of its kind, and result files."""
    named = read_result_files(result_files)
    places = named.values() if isinstance(named, Mapping) else ()
    return tuple(dict.fromkeys([*own, *(str(place).partition("/")[0] for place in places)]))


def _configured_region(task: PlannedTask) -> str | None:
    """Return the region that a task's session would have, from Airflow's connection or boto3's own configuration."""
    import botocore.session

    region: str | None = task.hook.conn_config.region_name
    return region or botocore.session.Session().get_config_variable("region")


def _is_of_a_placeholder(problem: Problem) -> bool:
    value: Any = problem.value
    return value is LATE or bool(PLACEHOLDER.search(str(value)))
