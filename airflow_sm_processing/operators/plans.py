"""What a task would ask of AWS when it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.iam.permissions import Ways
from airflow_sm_processing.iam.plan import plan_job
from airflow_sm_processing.iam.statements import UNKNOWN_ACCOUNT, UNKNOWN_REGION, Place, account_in, partition_of
from airflow_sm_processing.operators.attempt import Attempt
from airflow_sm_processing.operators.definitions import read_task
from airflow_sm_processing.operators.errors import TaskDefinitionError
from airflow_sm_processing.operators.result_files import read_result_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_sm_processing.exceptions import Problem
    from airflow_sm_processing.iam.plan import JobPlan
    from airflow_sm_processing.operators.lifecycle import JobTask
    from airflow_sm_processing.operators.modes import Modes

__all__ = ["PLACEHOLDER", "outputs_read", "plan_task", "ways_of"]

PLACEHOLDER = re.compile(r"<[^<>]+>")
"""Stands in a plan for what isn't known yet."""


def plan_task(task: JobTask, context: Context, *, account: str | None = None, region: str | None = None) -> JobPlan:
    """Plan the first job of a task instance whose parameters are rendered.

    Args:
        task: The rendered task.
        context: Whose run it would be.
        account: The account of the jobs, if it is known.
        region: Their region; the connection's if None.

    Raises:
        TaskDefinitionError: Something is wrong with the task's parameters.
        UploadError: A local file can't be read.
    """
    try:
        definition, modes = read_task(task, is_excused=_is_of_a_placeholder)
        role, connection = str(definition.role), task.connection
        region = region or configured_region(task)
        place = Place(
            account=account or account_in(role) or UNKNOWN_ACCOUNT,
            region=region or UNKNOWN_REGION,
            partition=partition_of(region=region, role=role, image_uri=str(definition.image_uri)),
        )
        return plan_job(
            definition,
            Attempt(context).asking(),
            place,
            ways=ways_of(modes),
            bucket=connection.default_bucket,
            prefix=connection.default_bucket_prefix,
            reads=outputs_read(task.own_outputs, task.result_files),
            is_excused=_is_of_a_placeholder,
        )
    except DefinitionError as error:
        raise TaskDefinitionError.of(error, task_id=task.task_id) from error


def ways_of(modes: Modes) -> Ways:
    """Give how a task waits, for the permissions that this takes."""
    from airflow_sm_processing.operators.getting import is_deferrable

    return Ways(
        waits=modes.wait_for_completion,
        defers=modes.wait_for_completion and is_deferrable(modes),
        follows_log=modes.logs is True,
    )


def outputs_read(own: Sequence[str], result_files: Any) -> tuple[str, ...]:
    """Name the outputs that a task itself reads when its job has ended: those of its kind, and of its result files."""
    named = read_result_files(result_files)
    places = named.values() if isinstance(named, Mapping) else ()
    return tuple(dict.fromkeys([*own, *(str(place).partition("/")[0] for place in places)]))


def configured_region(task: JobTask) -> str | None:
    """Give the region that a task's session would have, from Airflow's connection or boto3's own configuration."""
    import botocore.session

    region: str | None = task.hook.conn_config.region_name
    return region or botocore.session.Session().get_config_variable("region")


def _is_of_a_placeholder(problem: Problem) -> bool:
    from airflow_sm_processing.operators.late import LATE

    value: Any = problem.value
    return value is LATE or bool(PLACEHOLDER.search(str(value)))
