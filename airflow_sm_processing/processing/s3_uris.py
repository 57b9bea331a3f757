"""S3 URIs as strings, and the AWS console's addresses for them and for jobs."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = [
    "CONSOLE_HOSTS",
    "S3Location",
    "as_folder",
    "below",
    "folder_link",
    "is_aws",
    "is_s3_uri",
    "job_links",
    "join",
    "names_no_bucket",
]


SCHEME = "s3://"


class S3Location(NamedTuple):
    """A bucket and a key, or a bucket and a prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Split `s3://bucket/key`."""
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        return cls(bucket, key)


def is_s3_uri(text: str) -> bool:
    """Return whether the text names a place in S3 rather than a local path."""
    return text[: len(SCHEME)].lower() == SCHEME


def names_no_bucket(value: object) -> bool:
    """Return whether a value is an S3 URI that has nothing where the bucket should be."""
    return isinstance(value, str) and is_s3_uri(value) and not value[len(SCHEME) :].partition("/")[0]


def as_folder(uri: str) -> str:
    """Return the URI with a slash at its end, which keeps its neighbours out where it is a prefix."""
    return uri if uri.endswith("/") else f"{uri}/"


def below(uri: str, path: str) -> str:
    """Return the URI of a path below another URI."""
    bucket, key = S3Location.parse(uri)
    return join(bucket, key, path)


def join(bucket: str, *parts: str | None) -> str:
    """Return `s3://bucket/part/part` without empty, doubled or trailing slashes, as the SDK's s3_path_join does."""
    segments = [segment for part in parts if part for segment in part.split("/") if segment]
    return SCHEME + "/".join([bucket, *segments])


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
    """Return whether an endpoint is AWS's own, so that its console knows the jobs that are made there."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_HOSTS)


def job_links(job_name: str, *, region: str, partition: str, output_uris: Iterable[str] = ()) -> dict[str, str]:
    """Return the console pages of a job, of its logs and of its outputs' common prefix in S3, by title."""
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
    """Return the console page of what is below a place in S3."""
    domain = _DOMAINS.get(partition, _DOMAINS["aws"])
    bucket, prefix = (quote(part, safe="") for part in S3Location.parse(uri))
    return f"https://{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}"


def _common_prefix(places: list[S3Location]) -> S3Location | None:
    """Return the folder that all have in common; of those in the first one's bucket, for no page shows two buckets."""
    if not places:
        return None
    bucket = places[0].bucket
    folders = [place.key.rstrip("/").split("/") for place in places if place.bucket == bucket]
    common = "/".join(posixpath.commonprefix(folders))
    return S3Location(bucket, common and f"{common}/")


def _fragment(text: str) -> str:
    """Encode as the CloudWatch console does in its fragment: percent-encoded twice, with `$` for the outer percent."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
