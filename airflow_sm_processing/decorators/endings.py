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
from airflow_sm_processing.operators.wait_options import read_exit_codes
from airflow_sm_processing.processing.waiter import patiently
from airflow_sm_processing.processing.xcom_values import XComValueError, check_xcom_value, key_rule
from airflow_sm_processing.redaction import one_line, printable
from airflow_sm_processing.xcoms import RESERVED_KEYS

_SHOWN_CHARACTERS = 200  # of a key

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.decorators.results import Raised, Returned
    from airflow_sm_processing.exceptions import JobFailedError
    from airflow_sm_processing.operators.acquire import EndedJob
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob

__all__ = ["function_failure", "returned_value"]


def returned_value(
    ended: EndedJob, ti: Any, *, max_xcom_bytes: int, multiple_outputs: bool, is_mapped_over: Callable[[], bool]
) -> Any:
    """Return what the function returned.

    Args:
        ended: The function's job.
        ti: Airflow's task instance.
        max_xcom_bytes: The task's parameter.
        multiple_outputs: The task's parameter.
        is_mapped_over: Returns whether a task is mapped over the result.

    Raises:
        UnusableReturnError: It left nothing, or something else wrote what is there; it left what no XCom can carry or
            more than `max_xcom_bytes`, a key that is an XCom of the task already, or in S3 what a task is to be mapped
            over.
        ServiceError: S3 refused or couldn't be reached.
    """
    job = ended.job
    place = _outcome_uri(job, ended.description)
    try:
        found = patiently(
            partial(read_returned, job.sagemaker_session, place, Maker.of(ti)),
            max_transient_seconds=ended.max_transient_seconds,
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
    _check_size(found, max_xcom_bytes, job)
    if multiple_outputs:
        _check_keys(found.value, job)
    elif ti.map_index in {None, -1}:  # what instances of a mapped task return are the elements
        _check_can_be_mapped_over(found.value, max_xcom_bytes, is_mapped_over)
    return found.value


def _check_size(found: Returned, max_xcom_bytes: int, job: ProcessingJob) -> None:
    """Refuse what is too large for XCom: many small values, or what another writer than the container left."""
    if found.bytes > max_xcom_bytes:
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but what the function returned has {found.bytes:,} bytes in "
            f"XCom, and max_xcom_bytes is {max_xcom_bytes:,}: raise it, or return fewer values."
        )


def _check_can_be_mapped_over(value: Any, max_xcom_bytes: int, is_mapped_over: Callable[[], bool]) -> None:
    large = LargeResult.read(value)
    if large is not None and is_mapped_over():
        raise UnusableReturnError(
            f"A task is mapped over what the function returned, and Airflow can't see the elements of a result in S3: "
            f"it has {large.bytes:,} bytes, and max_xcom_bytes is {max_xcom_bytes:,}."
        )


def function_failure(
    ended: EndedJob, error: JobFailedError, *, function: str, skip_on_exit_code: Any, fail_on_exit_code: Any, log: Any
) -> Exception:
    """Return what the task raises for a failed job: the function's error, or the job's own if it left none.

    Args:
        ended: The function's job.
        error: The job's own error.
        function: The function's name.
        skip_on_exit_code: The task's parameter.
        fail_on_exit_code: The task's parameter.
        log: The task's.
    """
    from airflow_sm_processing.airflow_compat import AirflowSkipException

    raised = _raised(ended, log)
    code = _exit_code(raised, ended.description)
    if code is not None and code in read_exit_codes(skip_on_exit_code):
        return AirflowSkipException(f"{function} ended with exit code {code}, in processing job {ended.job.job_name}.")
    if raised is None:
        return error
    refused = raised.refused or (code is not None and code in read_exit_codes(fail_on_exit_code))
    cls = FunctionRefusedError if refused else FunctionFailedError
    return cls.of(error, raised, function=function, hide=ended.job.sagemaker_session.secrets.hide)


def _raised(ended: EndedJob, log: Any) -> Raised | None:
    job, description = ended.job, ended.description
    try:
        place = _outcome_uri(job, description)
        read = partial(read_raised, job.sagemaker_session, place, hosts=description.instance_count or 1)
        return patiently(read, max_transient_seconds=ended.max_transient_seconds)
    except (ServiceError, UnusableReturnError, ValueError) as error:
        # Not raised: the job's own error says what is known without it.
        text = printable(job.sagemaker_session.secrets.hide(str(error)))
        log.warning("What the function raised can't be read: %s", text)
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
