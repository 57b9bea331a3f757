"""Addresses of the AWS console, for people."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow_sm_processing.processing.s3_uris import S3Location

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CONSOLE_HOSTS", "folder_link", "is_aws", "job_links"]

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
CONSOLE_HOSTS = frozenset(_DOMAINS.values())
"""Of all partitions' consoles."""
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def is_aws(endpoint_url: str) -> bool:
    """Tell whether an endpoint is AWS's own, so that its console knows the jobs that are made there."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_HOSTS)


def job_links(job_name: str, *, region: str, partition: str, output_uris: Iterable[str] = ()) -> dict[str, str]:
    """Give the console pages of a job, of its logs and of its outputs' common prefix in S3, by title."""
    domain = _DOMAINS.get(partition, _DOMAINS["aws"])
    name = quote(job_name, safe="")
    log_filter = _fragment(f"{job_name}/")
    links = {
        "Job": f"https://{domain}/sagemaker/home?region={region}#/processing-jobs/{name}",
        "Logs": f"https://{domain}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{_fragment(LOG_GROUP)}"
        f"$3FlogStreamNameFilter$3D{log_filter}",
    }
    outputs = _common_prefix([S3Location.parse(uri) for uri in output_uris])
    if outputs is not None:
        links["Outputs"] = folder_link(f"s3://{outputs.bucket}/{outputs.key}", region=region, partition=partition)
    return links


def folder_link(uri: str, *, region: str, partition: str) -> str:
    """Give the console page of what is below a place in S3."""
    domain = _DOMAINS.get(partition, _DOMAINS["aws"])
    bucket, prefix = (quote(part, safe="") for part in S3Location.parse(uri))
    return f"https://{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}"


def _common_prefix(places: list[S3Location]) -> S3Location | None:
    """Give the folder that all have in common; of those in the first one's bucket, for no page shows two buckets."""
    if not places:
        return None
    bucket = places[0].bucket
    folders = [place.key.rstrip("/").split("/") for place in places if place.bucket == bucket]
    common = "/".join(posixpath.commonprefix(folders))
    return S3Location(bucket, common and f"{common}/")


def _fragment(text: str) -> str:
    """Encode as the CloudWatch console does in its fragment: percent-encoded twice, with `$` for the outer percent."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
