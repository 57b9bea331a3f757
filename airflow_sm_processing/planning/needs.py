"""What a job needs of AWS, in the terms that permissions are given in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.processing.s3_uris import S3Location, is_s3_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_sm_processing.planning.places import Place

__all__ = ["JobNeeds", "Ways", "locations"]


class Ways(NamedTuple):
    """How a task waits for its job."""

    waits: bool
    defers: bool
    follows_log: bool
    """Whether the job's lines are shown while they come."""


@dataclass(frozen=True, kw_only=True)
class JobNeeds:
    """One job, or all jobs of one task: what only a run knows is a `*` then."""

    place: Place
    request: Mapping[str, Any]
    """CreateProcessingJob's parameters."""
    role: str
    """The name or ARN that the user gave."""
    has_own_name: bool
    """Whether the user chose the job's name, so that a retry has to free it."""
    bucket: str
    """Takes what is uploaded, and outputs without a destination."""
    finds_bucket: bool
    """Whether that is the account's default bucket, which is looked for and created."""
    upload_prefix: str | None
    """The key prefix that local files go to; None if there are none."""
    upload_kms_key: str | None
    ways: Ways
    reads: tuple[str, ...] = ()
    """The names of outputs that the task itself reads when the job has ended."""

    @property
    def job_name(self) -> str:
        """The job's name, or a pattern of it."""
        return str(self.request["ProcessingJobName"])

    @property
    def uses_bucket(self) -> bool:
        """Whether anything goes to `bucket`."""
        return any(place.bucket == self.bucket for _, place in locations(self.request)) or bool(self.upload_prefix)


def locations(request: Mapping[str, Any]) -> Iterator[tuple[str, S3Location]]:
    """Yield the places in S3 that a job reads (`in`) and writes (`out`) by itself."""
    for item in request.get("ProcessingInputs", ()):
        uri = item.get("S3Input", {}).get("S3Uri")
        if isinstance(uri, str) and is_s3_uri(uri):
            yield "in", S3Location.parse(uri)
        for query in ("AthenaDatasetDefinition", "RedshiftDatasetDefinition"):
            uri = item.get("DatasetDefinition", {}).get(query, {}).get("OutputS3Uri")
            if isinstance(uri, str) and is_s3_uri(uri):
                yield from (("in", S3Location.parse(uri)), ("out", S3Location.parse(uri)))
    for item in request.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        uri = item.get("S3Output", {}).get("S3Uri")
        if isinstance(uri, str) and is_s3_uri(uri):
            yield "out", S3Location.parse(uri)
