"""XComs: their keys, a task's result, a job's record for the UI, and reading XComs that may be missing."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.models import folder_link, is_aws
from airflow_sm_processing.processing.values import Value, value_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.models import ProcessingOutput
    from airflow_sm_processing.processing.s3 import Size


__all__ = [
    "DETAILS_KEY",
    "JOB_ARN_KEY",
    "JOB_NAME_KEY",
    "LINK_KEYS",
    "LOG_POSITION_KEY",
    "RECORD_KEY",
    "RECORD_VERSION",
    "RESERVED_KEYS",
    "RESULT_KEY",
    "STORED_RECORD",
    "Circumstances",
    "ended_record",
    "ended_result",
    "job_details",
    "job_record",
    "moment",
    "push_links",
    "reserved_name_problems",
    "stopping_record",
    "submitted_result",
    "xcom_if_any",
]


JOB_NAME_KEY = "job_name"
JOB_ARN_KEY = "job_arn"
LOG_POSITION_KEY = "log_position"
"""The key of the position in the job's log while the task is deferred; deleted when the task has ended."""
LINK_KEYS = {"Job": "_link_job", "Logs": "_link_logs", "Outputs": "_link_outputs"}
"""The keys of the AWS console pages' addresses, by the pages' titles in `ProcessingJob.links`."""
RECORD_KEY = "_job"
"""The key of the job's record for the pages in Airflow's UI; see `job_record`."""
DETAILS_KEY = "_job_details"
STORED_RECORD = "processing_job:"
"""The beginning of keys in `task_state_store`, before the job's name; the records of earlier tries are kept there."""
RESULT_KEY = "return_value"
"""Airflow's own key for a task's result."""
RESERVED_KEYS = frozenset(
    {RESULT_KEY, JOB_NAME_KEY, JOB_ARN_KEY, LOG_POSITION_KEY, RECORD_KEY, DETAILS_KEY, *LINK_KEYS.values()}
)


def submitted_result(job_name: str, job_arn: str | None, output_uris: Mapping[str, str]) -> dict[str, Any]:
    """Return the result of a task that doesn't wait."""
    from airflow_sm_processing.processing.description import JobStatus

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
    """Return the result of a task whose job has ended; times are ISO 8601 in UTC, durations in seconds."""
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
    """Return a time in the form for XComs: ISO 8601 in UTC."""
    return None if time is None else time.astimezone(timezone.utc).isoformat()


RECORD_VERSION = 1
"""The version of the records' form; readers also find records of older versions."""


@value_object
class Circumstances(Value):
    """Properties of the task and try that are added to a job's record."""

    try_number: int
    awaited: bool
    """Whether the task waits for the job's end, and so records it."""
    stop_on_kill: bool
    aws_conn_id: str | None


def job_record(
    job: ProcessingJob,
    description: JobDescription | None,
    circumstances: Circumstances,
    *,
    now: datetime | None = None,
    error_line: str | None = None,
) -> dict[str, Any]:
    """Return a job's record, which is small, because there may be many in one table.

    Args:
        job: The job, with its request.
        description: Its current description; None if it was just created.
        circumstances: The task's properties.
        now: The current time; the time of submission, if the job was just created.
        error_line: The line of a failed job's log that says why.
    """
    from airflow_sm_processing.processing.description import JobStatus

    now = now or datetime.now(timezone.utc)
    request = job.request or {}
    cluster = request.get("ProcessingResources", {}).get("ClusterConfig", {})
    preferences = [item.get("InstanceType") for item in cluster.get("InstancePreferences") or ()]
    submitted = now if description is None else description.created_at
    return {
        "version": RECORD_VERSION,
        "job_name": job.job_name,
        "job_arn": job.job_arn,
        "region": job.region_name,
        "submitted_at": moment(submitted or now),
        **_progress(description),
        "stop_requested_at": moment(now) if description and description.status is JobStatus.STOPPING else None,
        "error_line": error_line,
        "instance_type": (description and description.instance_type) or cluster.get("InstanceType"),
        "instance_count": description.instance_count if description else cluster.get("InstanceCount") or 1,
        "instance_preferences": preferences,
        "image_uri": request.get("AppSpecification", {}).get("ImageUri"),
        "links": job.links(),
        "try_number": circumstances.try_number,
        "awaited": circumstances.awaited,
        "stop_on_kill": circumstances.stop_on_kill,
        "aws_conn_id": circumstances.aws_conn_id,
    }


def stopping_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record updated for a job that is being stopped."""
    from airflow_sm_processing.processing.description import JobStatus

    now = moment(datetime.now(timezone.utc))
    return {**record, "status": JobStatus.STOPPING.value, "stop_requested_at": now}


def ended_record(record: Mapping[str, Any], description: JobDescription) -> dict[str, Any]:
    """Return the record updated for a job that has ended."""
    return {
        **record,
        **_progress(description),
        "instance_type": description.instance_type,
        "instance_count": description.instance_count,
    }


def job_details(
    job: ProcessingJob,
    *,
    sizes: Mapping[str, Size | None] | None = None,
    log_tail: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, Any]:
    """Return the details that are shown for one job in addition to its record.

    Args:
        job: The job, with its request.
        sizes: The sizes in S3, by the URI of an input or output.
        log_tail: The last lines of each host.
    """
    request = job.request or {}
    return {
        "version": RECORD_VERSION,
        "job_name": job.job_name,
        "request": job.sagemaker_session.secrets.hide_in_request(request),
        "inputs": [_place(job, *place, sizes or {}) for place in _inputs(request)],
        "outputs": [_place(job, *place, sizes or {}) for place in _outputs(request)],
        "log_tail": [{"host": host, "lines": [*lines]} for host, lines in (log_tail or {}).items()],
    }


def _progress(description: JobDescription | None) -> dict[str, Any]:
    from airflow_sm_processing.processing.description import JobStatus

    if description is None:
        nothing = ("created_at", "started_at", "ended_at", "duration_seconds", "instance_seconds")
        texts = ("exit_message", "failure_reason")
        return {"status": JobStatus.IN_PROGRESS.value, **dict.fromkeys((*nothing, *texts))}
    return {
        # An unknown status doesn't count as an end.
        "status": (description.status if description.status.is_known else JobStatus.IN_PROGRESS).value,
        "created_at": moment(description.created_at),
        "started_at": moment(description.started_at),
        "ended_at": moment(description.ended_at),
        "duration_seconds": description.duration_seconds,
        "instance_seconds": description.instance_seconds,
        "exit_message": description.exit_message,
        "failure_reason": description.failure_reason,
    }


def _inputs(request: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each input's name, S3 URI and container path."""
    for item in request.get("ProcessingInputs") or ():
        s3_input, dataset = item.get("S3Input") or {}, item.get("DatasetDefinition") or {}
        yield item["InputName"], s3_input.get("S3Uri"), s3_input.get("LocalPath") or dataset.get("LocalPath")


def _outputs(request: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    for item in (request.get("ProcessingOutputConfig") or {}).get("Outputs") or ():
        s3_output = item.get("S3Output") or {}
        yield item["OutputName"], s3_output.get("S3Uri"), s3_output.get("LocalPath")


def _place(
    job: ProcessingJob, name: str, uri: str | None, container_path: str | None, sizes: Mapping[str, Size | None]
) -> dict[str, Any]:
    size = None if uri is None else sizes.get(uri)
    meta = job.sagemaker_session.sagemaker_client.meta
    has_page = uri is not None and is_aws(meta.endpoint_url)
    return {
        "name": name,
        "uri": uri and job.sagemaker_session.secrets.hide(uri),
        "container_path": container_path,
        "link": folder_link(uri or "", region=meta.region_name, partition=meta.partition) if has_page else None,
        "bytes": size and size.bytes,
        "objects": size and size.objects,
        "complete": bool(size and size.complete),
    }


def xcom_if_any(ti: Any, key: str) -> Any:
    """Return an XCom, or None if there is none, without the error that Airflow logs for a missing one.

    Args:
        ti: The task instance, or its key.
        key: The XCom's key.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetXComSequenceSlice

    from airflow_sm_processing.airflow_compat import XCom

    place = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
    comms: Any = task_runner.SUPERVISOR_COMMS
    found = comms.send(GetXComSequenceSlice(key=key, start=0, stop=1, step=None, **place))
    if not found.root:  # no instance of the task has one
        return None
    return XCom.get_one(key=key, map_index=ti.map_index, **place)


def push_links(ti: Any, pages: Mapping[str, str]) -> None:
    """Push the address of each available page."""
    for title, url in pages.items():
        ti.xcom_push(key=LINK_KEYS[title], value=url)
