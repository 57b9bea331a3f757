"""Read and write objects in S3, measure what is below a prefix, and decide which S3 URIs name a folder.

For an `S3Prefix`, SageMaker reads every key that begins with it: `s3://b/train` includes `train_labels/…` as well as
`train/…`. A slash at the end excludes such neighbours. But users, and the SDK, name folders without one, so S3 has to
be asked whether a URI is that of a folder, an object or only a prefix.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from bisect import bisect_left
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    DefinitionError,
    MalformedResponseError,
    Problem,
    ProcessingError,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing.aws_calls import (
    LargeObjectError,
    answer_read,
    aws_call,
    content_of,
    new_token,
    readable,
)
from airflow_sm_processing.processing.models import S3Location, as_folder, is_s3_uri

if TYPE_CHECKING:
    import builtins  # S3Downloader has its own `list`
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from io import BytesIO
    from pathlib import PurePath

    from mypy_boto3_s3 import S3Client

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import ProcessingInput
    from airflow_sm_processing.processing.session import Session


__all__ = [
    "LargeObjectError",
    "Objects",
    "S3Downloader",
    "S3Uploader",
    "Size",
    "may_be_absent",
    "may_name_folder",
    "measure",
    "measure_all",
    "objects_below",
    "open_uri",
    "read_object",
    "resolve_folder",
    "with_folders",
]


def read_object(session: Session, uri: str, *, max_bytes: int) -> bytes:
    """Return the content of an object.

    Raises:
        ServiceError: S3 refused, couldn't be reached, or closed the connection early.
        LargeObjectError: The object has more than `max_bytes`.
    """
    bucket, key = S3Location.parse(uri)
    with aws_call("GetObject", uri):
        found = session.s3_client.get_object(Bucket=bucket, Key=key)
    return content_of(session.s3_client, found, uri, max_bytes=max_bytes)


def may_be_absent(error: ServiceError) -> bool:
    """Return whether an error may mean that an object is missing: without s3:ListBucket, S3 denies access to it."""
    return error.code == "NoSuchKey" or isinstance(error, AccessDeniedError)


class S3Uploader:
    """Uploads to S3 URIs as the SDK's class does; without a `sagemaker_session`, boto3's own configuration is used."""

    @staticmethod
    def upload(
        local_path: str | PurePath,
        desired_s3_uri: str,
        kms_key: str | None = None,
        sagemaker_session: Session | None = None,
        callback: Callable[[int], None] | None = None,
    ) -> str:
        """Upload a local file, or all files in a folder, below a URI, as `Session.upload_data` does."""
        bucket, prefix = _place(desired_s3_uri)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else None
        return _session(sagemaker_session).upload_data(local_path, bucket, prefix, callback, encryption)

    @staticmethod
    def upload_string_as_file_body(
        body: str, desired_s3_uri: str, kms_key: str | None = None, sagemaker_session: Session | None = None
    ) -> str:
        """Upload a text as the object with this URI, and return the URI."""
        bucket, key = _place(desired_s3_uri)
        return _session(sagemaker_session).upload_string_as_file_body(body, bucket, key, kms_key)

    @staticmethod
    def upload_bytes(
        b: bytes | BytesIO, s3_uri: str, kms_key: str | None = None, sagemaker_session: Session | None = None
    ) -> str:
        """Upload bytes as the object with this URI, and return the URI."""
        content = b if isinstance(b, bytes) else b.read()
        bucket, key = _place(s3_uri)
        return _session(sagemaker_session).upload_string_as_file_body(content, bucket, key, kms_key)


class S3Downloader:
    """Reads S3 URIs as the SDK's class does; without a `sagemaker_session`, boto3's own configuration is used."""

    @staticmethod
    def download(
        s3_uri: str, local_path: str | PurePath, kms_key: str | None = None, sagemaker_session: Session | None = None
    ) -> builtins.list[str]:
        """Download an object, or all objects below a URI, as `Session.download_data` does.

        `kms_key` has the same meaning as in the SDK: the customer's own key, for objects that were encrypted with one.
        """
        options = {"SSECustomerKey": kms_key} if kms_key else None
        bucket, key_prefix = _place(s3_uri)
        return _session(sagemaker_session).download_data(local_path, bucket, key_prefix, options)

    @staticmethod
    def read_file(s3_uri: str, sagemaker_session: Session | None = None) -> str:
        """Return the content of an object as text, in UTF-8."""
        return S3Downloader.read_bytes(s3_uri, sagemaker_session).decode()

    @staticmethod
    def read_bytes(s3_uri: str, sagemaker_session: Session | None = None) -> bytes:
        """Return the content of an object."""
        _place(s3_uri)
        return read_object(_session(sagemaker_session), s3_uri, max_bytes=sys.maxsize)

    @staticmethod
    def list(s3_uri: str, sagemaker_session: Session | None = None) -> builtins.list[str]:
        """Return the URIs of all objects whose URIs begin with this one."""
        bucket, prefix = _place(s3_uri)
        return [f"s3://{bucket}/{key}" for key in _session(sagemaker_session).list_s3_files(bucket, prefix)]


def _session(given: Session | None) -> Session:
    from airflow_sm_processing.processing.session import Session  # not needed for measuring

    return given or Session()


def _place(uri: str) -> S3Location:
    if not is_s3_uri(uri) or not S3Location.parse(uri).bucket:
        raise DefinitionError([Problem("s3_uri", uri, "must be s3://bucket/key")], subject="the place in S3")
    return S3Location.parse(uri)


log = logging.getLogger(__name__)

_MOST_PAGES = 10  # of ListObjectsV2, with 1,000 objects each
_SECONDS_FOR_ALL = 10.0


@dataclass(frozen=True)
class Size:
    """The number of objects below an S3 URI, and their total size."""

    bytes: int
    objects: int
    complete: bool = True
    """Whether all objects were counted."""


def measure(client: S3Client, uri: str, *, is_folder: bool = False) -> Size:
    """Count the objects of a folder or, if the URI isn't that of a folder, those with its prefix; at most 10,000.

    Args:
        client: The S3 client.
        uri: The S3 URI.
        is_folder: Whether it is known to be a folder, as an output's URI is; if not, S3 is asked.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
    """
    place = S3Location.parse(as_folder(uri) if is_folder else resolve_folder(client, uri))
    total = objects = 0
    for found, is_last in islice(_pages(client, uri, place), _MOST_PAGES):
        total += sum(size for _, size in found)
        objects += len(found)
        if is_last:
            return Size(total, objects)
    return Size(total, objects, complete=False)


def _pages(client: S3Client, uri: str, place: S3Location) -> Iterator[tuple[list[tuple[str, int]], bool]]:
    """Yield the keys and sizes of the objects with a prefix, page by page, and whether a page is the last one.

    Args:
        client: The S3 client.
        uri: The URI that errors name.
        place: The bucket and the prefix.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
    """
    more: Any = {}
    seen = set[str]()
    while True:
        with aws_call("ListObjectsV2", uri):
            page: Any = client.list_objects_v2(Bucket=place.bucket, Prefix=place.key, **more)
        with answer_read("ListObjectsV2", uri):
            is_last = not readable(client, "ListObjectsV2", page, "IsTruncated")["IsTruncated"]
            found = [(item["Key"], item["Size"]) for item in page.get("Contents", [])]
            more = {} if is_last else {"ContinuationToken": new_token(page["NextContinuationToken"], seen)}
        yield found, is_last
        if is_last:
            return


def measure_all(client: S3Client, uris: Iterable[str], *, folders: Collection[str] = ()) -> dict[str, Size | None]:
    """Return the size of each URI, for display; None for what can't be listed, or not within a few seconds.

    After a lost connection, nothing else is tried. The client shouldn't retry calls either, because a size isn't worth
    the wait.

    Args:
        client: The S3 client.
        uris: The S3 URIs.
        folders: Those of them that are known to be folders.
    """
    give_up_at = time.monotonic() + _SECONDS_FOR_ALL
    sizes: dict[str, Size | None] = {}
    for uri in dict.fromkeys(filter(is_s3_uri, uris)):
        if time.monotonic() >= give_up_at:
            break
        try:
            sizes[uri] = measure(client, uri, is_folder=uri in folders)
        except TransientError as error:
            log.info("The sizes of the job's inputs and outputs aren't all known: %s", error)
            break
        except ServiceError as error:
            log.info("The size of %s isn't known: %s", uri, error)
            sizes[uri] = None
    return sizes


_MOST_KEYS = 100  # with the same prefix, in one response
_SHOWN = 3


class _Listed(NamedTuple):
    """The result of listing a key as a prefix."""

    object_size: int | None
    """The size in bytes of the object with exactly that key; None if there is none."""
    is_folder: bool
    """Whether there are keys below it."""
    neighbours: tuple[str, ...]
    """Some of the other keys and folders with that prefix."""


def with_folders(definition: JobDefinition, session: Session) -> JobDefinition:
    """Return the definition with a slash at the end of each input's URI that is a folder in S3.

    If S3 can't be asked, for instance without s3:ListBucket, URIs aren't changed, so that no job fails because of this.
    """
    resolved: dict[str | None, str] = {}
    uris = [open_uri(item) for item in definition.inputs]
    for uri in dict.fromkeys(filter(None, uris)):
        try:
            resolved[uri] = _asked(session.s3_client, uri)
        except ProcessingError as error:
            log.warning("%s", _unresolved(uri, error))
            if isinstance(error, TransientError):
                break  # if S3 can't be reached now, don't ask for each input
    folders = {uri: found for uri, found in resolved.items() if found != uri}
    inputs = tuple(
        item.at(folders[uri]) if uri in folders else item for item, uri in zip(definition.inputs, uris, strict=True)
    )
    return dataclasses.replace(definition, inputs=inputs) if folders else definition


_MOST_LISTED = 100_000  # objects: a minute of listing, and a manifest of some megabytes


class Objects(NamedTuple):
    """What begins as a URI does."""

    keys: tuple[str, ...]
    folders: tuple[str, ...]
    """The keys of empty objects that only mark folders, of folders without files."""


def objects_below(client: S3Client, uris: Iterable[str]) -> dict[str, Objects]:
    """List the objects that begin as each URI does, such that all of a bucket's can be files in one folder.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
        DefinitionError: There are over 100,000, or one is a file where others need a folder.
    """
    places = {uri: S3Location.parse(uri) for uri in uris}
    sizes: dict[str, dict[str, int]] = {place.bucket: {} for place in places.values()}
    outer, left = S3Location("", ""), _MOST_LISTED
    for place in sorted(places.values(), key=tuple):
        if outer.bucket == place.bucket and place.key.startswith(outer.key):
            continue  # listed along
        outer = place
        pages = _pages(client, f"s3://{place.bucket}/{place.key}", place)
        listed = chain.from_iterable(page for page, _ in pages)
        found = dict(islice(listed, left + 1))
        left -= len(found)
        if left < 0:
            rule = f"have over {_MOST_LISTED:,} objects, too many for manifests: {_FEWER}"
            raise DefinitionError([Problem("inputs", list(places), rule)], subject="the job")
        sizes[place.bucket] |= found
    buckets = {bucket: _without_marks(bucket, found) for bucket, found in sizes.items()}
    return {
        uri: Objects(*(_beginning(names, place.key) for names in buckets[place.bucket]))
        for uri, place in places.items()
    }


_FEWER = "read a folder that several of them are in as one input, so that none are over the bound of a job's inputs"


def _without_marks(bucket: str, sizes: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Return, in order, the keys without those that mark folders, and those that mark folders without files."""
    folders = set(_folders_of(sizes))
    for key, size in sizes.items():
        if size and key in folders:
            rule = f"is an object, and others are below it: inputs over the bound can't have both, {_FEWER}"
            raise DefinitionError([Problem("inputs", f"s3://{bucket}/{key}", rule)], subject="the job")
    marks = {key for key, size in sizes.items() if not size and (key.endswith("/") or key in folders)}
    keys = sorted(sizes.keys() - marks)
    have_files = set(_folders_of(keys))
    return keys, sorted(key for key in marks if key.rstrip("/") not in have_files)


def _folders_of(keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        while key := key.rpartition("/")[0]:
            yield key


def _beginning(names: list[str], key: str) -> tuple[str, ...]:
    return tuple(takewhile(lambda name: name.startswith(key), islice(names, bisect_left(names, key), None)))


def resolve_folder(client: S3Client, uri: str) -> str:
    """Return the URI with a slash at its end if it is a folder, else unchanged.

    It isn't changed if there is an object with exactly that name, unless it is an empty one that marks the folder, or
    if it is a prefix that ends within a name; the log then names what else SageMaker will read.

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
            log.warning("%s is an object, but SageMaker also reads the keys that begin like it: %s.", uri, alike)
    elif alike:
        log.warning(
            "%s is neither an object nor a folder: SageMaker reads all keys that begin like it, such as %s.", uri, alike
        )
    return uri


def may_name_folder(uri: object) -> bool:
    """Return whether a value is an S3 URI that may be a folder or not."""
    return isinstance(uri, str) and is_s3_uri(uri) and S3Location.parse(uri).key[-1:] not in {"", "/"}


def open_uri(item: ProcessingInput) -> str | None:
    """Return an input's URI if SageMaker would use it as a prefix and it may be a folder."""
    s3_input = item.s3_input
    if s3_input is None or item.dataset_definition is not None or item.app_managed:
        return None
    return s3_input.s3_uri if s3_input.s3_data_type == "S3Prefix" and may_name_folder(s3_input.s3_uri) else None


def _asked(client: S3Client, uri: str) -> str:
    """Resolve a URI; if the response can't be read, ask once more."""
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
        f"Could not check whether {uri} is a folder, so SageMaker reads every key that begins like it. If it is a "
        f"folder, end it with a slash. {error}"
    )
