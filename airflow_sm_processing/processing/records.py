"""What is kept of a job for people to look at: plain JSON, with nothing in it that must not be shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.console import folder_link, is_aws
from airflow_sm_processing.processing.results import moment
from airflow_sm_processing.processing.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.sizes import Size

__all__ = ["RECORD_VERSION", "Circumstances", "ended_record", "job_details", "job_record"]

RECORD_VERSION = 1
"""Counts the forms that records have had: whoever reads one finds those of older versions too."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a job's task adds to its record."""

    try_number: int
    awaited: bool
    """Whether the task waits for the job's end, and so records it."""
    stop_on_kill: bool
    aws_conn_id: str | None


def job_record(
    job: ProcessingJob, description: JobDescription | None, circumstances: Circumstances, *, now: datetime | None = None
) -> dict[str, Any]:
    """Give a job's record: small, for there may be many in one table.

    Args:
        job: The job, with its request.
        description: As it is now; None if it was made right now.
        circumstances: The task's.
        now: The time of submission, if the job was made right now.
    """
    request = job.request or {}
    cluster = request.get("ProcessingResources", {}).get("ClusterConfig", {})
    preferences = [item.get("InstanceType") for item in cluster.get("InstancePreferences") or ()]
    submitted = (now or datetime.now(timezone.utc)) if description is None else description.created_at
    return {
        "version": RECORD_VERSION,
        "job_name": job.job_name,
        "job_arn": job.job_arn,
        "region": job.region_name,
        "submitted_at": moment(submitted or datetime.now(timezone.utc)),
        **_progress(description),
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


def ended_record(record: Mapping[str, Any], description: JobDescription) -> dict[str, Any]:
    """Give a job's record, now that the job has ended."""
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
    """Give what is shown of one job beside its record.

    Args:
        job: The job, with its request.
        sizes: What is in S3, by the URI of an input or output.
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
    if description is None:
        nothing = ("created_at", "started_at", "ended_at", "duration_seconds", "instance_seconds")
        texts = ("exit_message", "failure_reason")
        return {"status": JobStatus.IN_PROGRESS.value, **dict.fromkeys((*nothing, *texts))}
    return {
        # One that isn't known is none that a job ends with.
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
