"""Which S3 URIs name a folder.

SageMaker takes an `S3Prefix` for every key that begins so: `s3://b/train` brings `train_labels/…` along with `train/…`.
A slash at the end keeps the neighbours out. Users, and the SDK, name folders without it; whether a URI names a folder,
an object or only a prefix is for S3 to say.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.exceptions import MalformedResponseError, ProcessingError, TransientError
from airflow_sm_processing.processing.answers import readable
from airflow_sm_processing.processing.aws_errors import answer_read, aws_call
from airflow_sm_processing.processing.s3_uris import S3Location, as_folder, is_s3_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.inputs import ProcessingInput
    from airflow_sm_processing.processing.session import Session

__all__ = ["may_name_folder", "open_uri", "resolve_folder", "with_folders"]

log = logging.getLogger(__name__)

_MOST_KEYS = 100  # of those that begin alike, in one answer
_SHOWN = 3


class _Listed(NamedTuple):
    """What begins as a key does."""

    object_size: int | None
    """Bytes of the object of that very key; None if there is none."""
    is_folder: bool
    """Whether there are keys below it."""
    neighbours: tuple[str, ...]
    """Other keys and folders that begin so, some of them."""


def with_folders(definition: JobDefinition, session: Session) -> JobDefinition:
    """Return the definition with a slash at the end of each input's URI that names a folder in S3.

    Where S3 doesn't say, such as without s3:ListBucket, URIs stay as they are: no job fails for it.
    """
    resolved: dict[str | None, str] = {}
    uris = [open_uri(item) for item in definition.inputs]
    for uri in dict.fromkeys(filter(None, uris)):
        try:
            resolved[uri] = _asked(session.s3_client, uri)
        except ProcessingError as error:
            log.warning("%s", _unresolved(uri, error))
            if isinstance(error, TransientError):
                break  # whoever can't be reached now needn't be asked for each input
    folders = {uri: found for uri, found in resolved.items() if found != uri}
    inputs = tuple(
        item.at(folders[uri]) if uri in folders else item for item, uri in zip(definition.inputs, uris, strict=True)
    )
    return dataclasses.replace(definition, inputs=inputs) if folders else definition


def resolve_folder(client: S3Client, uri: str) -> str:
    """Return the URI with a slash at its end if it names a folder, else as it is.

    An object of that very name, unless it is an empty one that only marks the folder, and a prefix that ends within
    a name, are left as they are; what SageMaker takes besides is logged.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
    """
    if not may_name_folder(uri):
        return uri
    listed = _list(client, uri)
    alike = ", ".join(listed.neighbours[:_SHOWN])
    if listed.is_folder and not listed.object_size:
        if alike:
            log.info("%s is a folder: %s, which begin alike, aren't in it.", uri, alike)
        return as_folder(uri)
    if listed.object_size is not None:
        alike = ", ".join(filter(None, [f"{as_folder(uri)}" if listed.is_folder else "", alike]))
        if alike:
            log.warning("%s is an object, and SageMaker takes what begins alike along with it: %s.", uri, alike)
    elif alike:
        log.warning("%s is no object and no folder: SageMaker takes all that begins so, such as %s.", uri, alike)
    return uri


def may_name_folder(uri: object) -> bool:
    """Return whether a value is an S3 URI that leaves open whether it names a folder."""
    return isinstance(uri, str) and is_s3_uri(uri) and S3Location.parse(uri).key[-1:] not in {"", "/"}


def open_uri(item: ProcessingInput) -> str | None:
    """Return an input's URI if SageMaker would take it for a prefix that may name a folder."""
    s3_input = item.s3_input
    if s3_input is None or item.dataset_definition is not None or item.app_managed:
        return None
    return s3_input.s3_uri if s3_input.s3_data_type == "S3Prefix" and may_name_folder(s3_input.s3_uri) else None


def _asked(client: S3Client, uri: str) -> str:
    """Resolve a URI; an answer that can't be read is asked for once more."""
    try:
        return resolve_folder(client, uri)
    except MalformedResponseError:
        return resolve_folder(client, uri)


def _list(client: S3Client, uri: str) -> _Listed:
    bucket, key = S3Location.parse(uri)
    with aws_call("ListObjectsV2", uri):
        page = client.list_objects_v2(Bucket=bucket, Prefix=key, Delimiter="/", MaxKeys=_MOST_KEYS)
    with answer_read("ListObjectsV2", uri):
        is_whole = not readable(client, "ListObjectsV2", page, "IsTruncated")["IsTruncated"]
        objects = {item["Key"]: item["Size"] for item in page.get("Contents", [])}
        folders = {item["Prefix"] for item in page.get("CommonPrefixes", [])}
    is_folder = f"{key}/" in folders or (not is_whole and _has_keys(client, bucket, f"{key}/"))
    neighbours = sorted({*objects, *folders} - {key, f"{key}/"})
    return _Listed(objects.get(key), is_folder, tuple(f"s3://{bucket}/{name}" for name in neighbours))


def _has_keys(client: S3Client, bucket: str, prefix: str) -> bool:
    uri = f"s3://{bucket}/{prefix}"
    with aws_call("ListObjectsV2", uri):
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    with answer_read("ListObjectsV2", uri):
        return bool(readable(client, "ListObjectsV2", page, "IsTruncated").get("Contents"))


def _unresolved(uri: str, error: ProcessingError) -> str:
    return (
        f"Whether {uri} is a folder can't be seen, so SageMaker takes every key that begins so. If it is one, end it "
        f"with a slash. {error}"
    )
