"""What a task leaves in XCom."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.outputs import ProcessingOutput

__all__ = [
    "DETAILS_KEY",
    "JOB_ARN_KEY",
    "JOB_NAME_KEY",
    "LINK_KEYS",
    "LOG_POSITION_KEY",
    "RECORD_KEY",
    "RESERVED_KEYS",
    "RESULT_KEY",
    "ended_result",
    "moment",
    "reserved_name_problems",
    "submitted_result",
]

JOB_NAME_KEY = "job_name"
JOB_ARN_KEY = "job_arn"
LOG_POSITION_KEY = "log_position"
"""How far the job's log was shown while the task was deferred; gone when the task has ended."""
LINK_KEYS = {"Job": "_link_job", "Logs": "_link_logs", "Outputs": "_link_outputs"}
"""For the addresses of the AWS console's pages, by the titles that `ProcessingJob.links` gives them."""
RECORD_KEY = "_job"
"""For what the pages of Airflow's UI show of the job; see `records`."""
DETAILS_KEY = "_job_details"
RESULT_KEY = "return_value"
"""Airflow's own, for what a task returns."""
RESERVED_KEYS = frozenset(
    {RESULT_KEY, JOB_NAME_KEY, JOB_ARN_KEY, LOG_POSITION_KEY, RECORD_KEY, DETAILS_KEY, *LINK_KEYS.values()}
)


def submitted_result(job_name: str, job_arn: str | None, output_uris: Mapping[str, str]) -> dict[str, Any]:
    """Give the result of a task that doesn't wait."""
    from airflow_sm_processing.processing.status import JobStatus

    return {
        "job_name": job_name,
        "job_arn": job_arn,
        "status": JobStatus.IN_PROGRESS.value,
        "outputs": dict(output_uris),
        "exit_message": None,
        "failure_reason": None,
        "started_at": None,
        "ended_at": None,
        "duration_seconds": None,
        "instance_seconds": None,
    }


def ended_result(description: JobDescription) -> dict[str, Any]:
    """Give the result of a task whose job has ended; times are ISO 8601 in UTC, durations in seconds."""
    return {
        **submitted_result(description.job_name, description.job_arn, description.output_uris),
        "status": description.status.value,
        "exit_message": description.exit_message,
        "failure_reason": description.failure_reason,
        "started_at": moment(description.started_at),
        "ended_at": moment(description.ended_at),
        "duration_seconds": description.duration_seconds,
        "instance_seconds": description.instance_seconds,
    }


def reserved_name_problems(outputs: Sequence[ProcessingOutput]) -> Iterator[Problem]:
    """Yield the outputs whose names are XCom keys of the task itself."""
    for index, item in enumerate(outputs):
        if isinstance(item.output_name, str) and item.output_name in RESERVED_KEYS:
            rule = f"is an XCom key of the task itself; so are {', '.join(sorted(RESERVED_KEYS))}"
            yield Problem(f"outputs[{index}].output_name", item.output_name, rule)


def moment(time: datetime | None) -> str | None:
    """Give a time as XComs have it: ISO 8601 in UTC."""
    return None if time is None else time.astimezone(timezone.utc).isoformat()
