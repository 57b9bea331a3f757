"""How a function's end becomes its task's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.decorators.results import (
    OUTCOME,
    FunctionFailedError,
    FunctionRefusedError,
    LargeResult,
    Maker,
    UnusableReturnError,
    read_raised,
    read_returned,
    rule_of_airflow,
)
from airflow_sm_processing.exceptions import ServiceError
from airflow_sm_processing.operators.exit_codes import read_exit_codes
from airflow_sm_processing.processing.waiter import patiently
from airflow_sm_processing.processing.xcom_values import XComValueError, check_xcom_value, key_rule
from airflow_sm_processing.redaction import one_line, printable
from airflow_sm_processing.xcoms import RESERVED_KEYS

_SHOWN_CHARACTERS = 200  # of a key

if TYPE_CHECKING:
    from airflow_sm_processing.decorators.operator import FunctionProcessingOperator
    from airflow_sm_processing.decorators.results import Raised, Returned
    from airflow_sm_processing.exceptions import JobFailedError
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob

__all__ = ["end_of_failure", "returned"]


def returned(
    task: FunctionProcessingOperator,
    job: ProcessingJob,
    description: JobDescription,
    ti: Any,
    *,
    max_transient_seconds: float,
) -> Any:
    """Return what the function returned.

    Args:
        task: The function's task.
        job: Its job.
        description: How the job ended.
        ti: Airflow's task instance.
        max_transient_seconds: How long S3 may be in trouble.

    Raises:
        UnusableReturnError: It left nothing, or something else wrote what is there; it left what no XCom can carry or
            more than `max_xcom_bytes`, a key that is an XCom of the task already, or in S3 what a task is to be mapped
            over.
        ServiceError: S3 refused or couldn't be reached.
    """
    place = _outcome_uri(job, description)
    try:
        found = patiently(
            partial(read_returned, job.sagemaker_session, place, Maker.of(ti)),
            max_transient_seconds=max_transient_seconds,
        )
        check_xcom_value(found.value, other_rule=rule_of_airflow)
    except ServiceError as error:
        if error.code != "NoSuchKey":
            raise
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but {place} has no result: its process ended before the "
            "function had returned, by os._exit or by becoming another program."
        ) from error
    except XComValueError as error:
        where = job.sagemaker_session.secrets.hide(error.where)
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but no XCom can carry what the function returned: "
            f"the returned value{where} {error.rule}."
        ) from None
    except ValueError as error:
        text = printable(job.sagemaker_session.secrets.hide(str(error)))
        raise UnusableReturnError(f"Processing job {job.job_name} completed, but {text}") from None
    _check_size(found, task, job)
    if task.multiple_outputs:
        _check_keys(found.value, job)
    else:
        _check_can_be_mapped_over(found.value, task, ti)
    return found.value


def _check_size(found: Returned, task: FunctionProcessingOperator, job: ProcessingJob) -> None:
    """Refuse what is too large for XCom: many small values, or what another writer than the container left."""
    if found.bytes > task.max_xcom_bytes:
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but what the function returned has {found.bytes:,} bytes in "
            f"XCom, and max_xcom_bytes is {task.max_xcom_bytes:,}: raise it, or return fewer values."
        )


def _check_can_be_mapped_over(value: Any, task: FunctionProcessingOperator, ti: Any) -> None:
    large = LargeResult.read(value)
    if large is None or ti.map_index not in {None, -1}:  # what instances of a mapped task return are the elements
        return
    if next(iter(task.iter_mapped_dependants()), None) is not None:
        raise UnusableReturnError(
            f"A task is mapped over what the function returned, and Airflow can't see the elements of a result in S3: "
            f"it has {large.bytes:,} bytes, and max_xcom_bytes is {task.max_xcom_bytes:,}."
        )


def end_of_failure(
    task: FunctionProcessingOperator,
    job: ProcessingJob,
    description: JobDescription,
    error: JobFailedError,
    *,
    max_transient_seconds: float,
) -> Exception:
    """Give what the task raises for a failed job: what the function raised, or the job's own error if it left none."""
    from airflow_sm_processing.airflow_compat import AirflowSkipException

    raised = _raised(task, job, description, max_transient_seconds)
    code = _exit_code(raised, description)
    name = task.python_callable.__name__
    if code is not None and code in read_exit_codes(task.skip_on_exit_code):
        return AirflowSkipException(f"{name} ended with exit code {code}, in processing job {job.job_name}.")
    if raised is None:
        return error
    refused = raised.refused or (code is not None and code in read_exit_codes(task.fail_on_exit_code))
    cls = FunctionRefusedError if refused else FunctionFailedError
    return cls.of(error, raised, function=name, hide=job.sagemaker_session.secrets.hide)


def _raised(
    task: FunctionProcessingOperator, job: ProcessingJob, description: JobDescription, max_transient_seconds: float
) -> Raised | None:
    try:
        place = _outcome_uri(job, description)
        read = partial(read_raised, job.sagemaker_session, place, hosts=description.instance_count or 1)
        return patiently(read, max_transient_seconds=max_transient_seconds)
    except (ServiceError, UnusableReturnError, ValueError) as error:
        # Not raised: the job's own error says what is known without it.
        text = printable(job.sagemaker_session.secrets.hide(str(error)))
        task.log.warning("What the function raised can't be read: %s", text)
        return None


def _exit_code(raised: Raised | None, description: JobDescription) -> int | None:
    if raised is not None and raised.exit_code is not None:
        return raised.exit_code
    return description.exit_code


def _outcome_uri(job: ProcessingJob, description: JobDescription) -> str:
    for item in description.outputs:
        if item.output_name == OUTCOME.output_name and item.destination:
            return str(item.destination)
    raise UnusableReturnError(
        f"Processing job {job.job_name} is of another kind: it has no output {OUTCOME.output_name}."
    )


def _check_keys(value: Any, job: ProcessingJob) -> None:
    if not isinstance(value, dict):
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but what the function returned is of type "
            f"{type(value).__name__}: with multiple_outputs it must be a dict."
        )
    for key in value:
        rule = key_rule(key)
        if rule is not None:
            shown = one_line(job.sagemaker_session.secrets.hide(key))[:_SHOWN_CHARACTERS]
            raise UnusableReturnError(f"The function returned the key {shown!r}, which {rule}.")
    taken = sorted(value.keys() & (RESERVED_KEYS | job.output_uris.keys()))
    if taken:
        raise UnusableReturnError(
            f"The function returned the keys {', '.join(taken)}, which are XComs of the task itself: with "
            "multiple_outputs, choose others."
        )
