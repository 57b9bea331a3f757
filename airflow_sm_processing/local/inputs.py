"""A job's inputs, downloaded from S3 as the real service places them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class InputError(Exception):
    """An input can't be had; the text is the job's FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Which host of how many gets the files."""

    index: int
    count: int


@dataclass(frozen=True, kw_only=True)
class _Source:
    """One object, and where below the input's folder it goes."""

    bucket: str
    key: str
    path: str


def download(s3: Any, item: Mapping[str, Any], destination: Path, shard: Shard, *, role: str) -> int:
    """Download one input to a host's folder and give the number of files.

    Raises:
        InputError: nothing is there, or it can't be laid out as files.
    """
    s3_input = item["S3Input"]
    uri = s3_input["S3Uri"]
    try:
        sources = list(_manifest(s3, uri) if s3_input["S3DataType"] == "ManifestFile" else _prefix(s3, uri))
        if not sources:
            raise InputError(_nothing_found(uri, s3.meta.region_name, role))
        if s3_input.get("S3DataDistributionType") == "ShardedByS3Key":
            sources = sources[shard.index :: shard.count]
        for source in sources:
            _fetch(s3, source, destination)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"NoSuchBucket", "404"}:
            raise InputError(_nothing_found(uri, s3.meta.region_name, role)) from error
        raise InputError(f"ClientError: Data download failed: {uri}: {error}") from error
    return len(sources)


def _nothing_found(uri: str, region: str, role: str) -> str:
    return (
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({region}), that objects exist under that "
        f'S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{split_uri(uri)[0]}".'
    )


def split_uri(uri: str) -> tuple[str, str]:
    """Give bucket and key of an s3:// URI, or of a path-style https:// URL."""
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        return parts.netloc, uri.split(parts.netloc, 1)[1].removeprefix("/")
    bucket, _, key = parts.path.lstrip("/").partition("/")
    return bucket, key


def _prefix(s3: Any, uri: str) -> Iterator[_Source]:
    """Every object whose key begins so: a prefix is no folder, as in the real service."""
    bucket, prefix = split_uri(uri)
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            key = found["Key"]
            base = folder if key.startswith(folder) else prefix.rpartition("/")[0] + "/" * ("/" in prefix)
            yield _Source(bucket=bucket, key=key, path=key.removeprefix(base))


def _manifest(s3: Any, uri: str) -> Iterator[_Source]:
    """Read `[{"prefix": "s3://bucket/some/"}, "relative/key", …]`."""
    bucket, key = split_uri(uri)
    try:
        entries = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        base = entries[0]["prefix"]
        names = [str(name) for name in entries[1:]]
    except (ValueError, LookupError, TypeError) as error:
        message = f'ClientError: The manifest {uri} isn\'t of the form [{{"prefix": "s3://…"}}, "key", …].'
        raise InputError(message) from error
    for name in names:
        name_bucket, name_key = split_uri(base + name)
        yield _Source(bucket=name_bucket, key=name_key, path=name)


def _fetch(s3: Any, source: _Source, destination: Path) -> None:
    parts = PurePosixPath(source.path).parts
    if not parts or ".." in parts or source.path.startswith("/"):
        raise InputError(f"ClientError: Data download failed: {source.key!r} isn't a path that a file can have.")
    place = destination.joinpath(*parts)
    try:
        if source.path.endswith("/"):  # consoles mark folders with empty objects
            place.mkdir(parents=True, exist_ok=True)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        body = s3.get_object(Bucket=source.bucket, Key=source.key)["Body"]
        with place.open("wb") as file:
            shutil.copyfileobj(body, file, 1024 * 1024)
    except OSError as error:
        raise InputError(
            f"ClientError: Data download failed: s3://{source.bucket}/{source.key} can't be written as "
            f"{source.path!r}: {error.strerror}. Is the same name a file and a folder?"
        ) from error
