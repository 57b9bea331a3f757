"""How a function's end becomes its task's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.decorators.errors import FunctionFailedError, FunctionRefusedError, UnusableReturnError
from airflow_sm_processing.decorators.parameters import exit_codes
from airflow_sm_processing.decorators.results import OUTCOME, is_large_result, read_raised, read_returned
from airflow_sm_processing.exceptions import ServiceError
from airflow_sm_processing.processing.results import RESERVED_KEYS

if TYPE_CHECKING:
    from airflow_sm_processing.decorators.operator import FunctionProcessingOperator
    from airflow_sm_processing.decorators.results import Raised
    from airflow_sm_processing.exceptions import JobFailedError
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob

__all__ = ["end_of_failure", "returned"]

_EXIT_CODE = re.compile(r"exit code: (\d+)")  # as SageMaker's FailureReason has it


def returned(
    task: FunctionProcessingOperator, job: ProcessingJob, description: JobDescription, *, is_mapped: bool
) -> Any:
    """Give what the function returned.

    Raises:
        UnusableReturnError: It left nothing, or something else wrote what is there; it left a key that is an XCom of
            the task already, or in S3 what a task is to be mapped over.
        ServiceError: S3 refused or couldn't be reached.
    """
    place = _outcome_uri(job, description)
    try:
        value = read_returned(job.sagemaker_session, place)
    except ServiceError as error:
        if error.code != "NoSuchKey":
            raise
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but {place} has no result: its process ended before the "
            "function had returned, by os._exit or by becoming another program."
        ) from error
    except ValueError as error:
        raise UnusableReturnError(f"Processing job {job.job_name} completed, but {error}") from error
    if task.multiple_outputs:
        _check_keys(value, job)
    elif is_large_result(value) and not is_mapped and next(iter(task.iter_mapped_dependants()), None) is not None:
        raise UnusableReturnError(
            f"A task is mapped over what the function returned, and Airflow can't see the elements of a result in S3: "
            f"it has {value['bytes']:,} bytes, and max_xcom_bytes is {task.max_xcom_bytes:,}."
        )
    return value


def end_of_failure(
    task: FunctionProcessingOperator, job: ProcessingJob, description: JobDescription, error: JobFailedError
) -> Exception:
    """Give what the task raises for a failed job: what the function raised, or the job's own error if it left none."""
    from airflow.providers.common.compat.sdk import AirflowSkipException

    raised = _raised(task, job, description)
    code = _exit_code(raised, description)
    name = task.python_callable.__name__
    if code is not None and code in exit_codes(task.skip_on_exit_code):
        return AirflowSkipException(f"{name} ended with exit code {code}, in processing job {job.job_name}.")
    if raised is None:
        return error
    refused = code is not None and code in exit_codes(task.fail_on_exit_code)
    cls = FunctionRefusedError if refused else FunctionFailedError
    return cls.of(error, raised, function=name, hide=job.sagemaker_session.secrets.hide)


def _raised(task: FunctionProcessingOperator, job: ProcessingJob, description: JobDescription) -> Raised | None:
    try:
        place = _outcome_uri(job, description)
        return read_raised(job.sagemaker_session, place, hosts=description.instance_count or 1)
    except (ServiceError, UnusableReturnError, ValueError) as error:
        # Not raised: the job's own error says what is known without it.
        task.log.warning("What the function raised can't be read: %s", error)
        return None


def _exit_code(raised: Raised | None, description: JobDescription) -> int | None:
    if raised is not None and raised.exit_code is not None:
        return raised.exit_code
    found = _EXIT_CODE.search(description.failure_reason or "")
    return int(found[1]) if found else None


def _outcome_uri(job: ProcessingJob, description: JobDescription) -> str:
    for item in description.outputs:
        if item.output_name == OUTCOME.output_name and item.destination:
            return str(item.destination)
    raise UnusableReturnError(
        f"Processing job {job.job_name} is of another kind: it has no output {OUTCOME.output_name}."
    )


def _check_keys(value: dict[str, Any], job: ProcessingJob) -> None:
    taken = sorted(value.keys() & (RESERVED_KEYS | job.output_uris.keys()))
    if taken:
        raise UnusableReturnError(
            f"The function returned the keys {', '.join(taken)}, which are XComs of the task itself: with "
            "multiple_outputs, choose others."
        )
