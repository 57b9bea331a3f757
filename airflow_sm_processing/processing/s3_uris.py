"""S3 URIs as strings: telling, joining and splitting them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["S3Location", "as_folder", "below", "is_s3_uri", "join", "names_no_bucket"]

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
    """Tell whether the text names a place in S3 rather than a local path."""
    return text[: len(SCHEME)].lower() == SCHEME


def names_no_bucket(value: object) -> bool:
    """Tell whether a value is an S3 URI that has nothing where the bucket should be."""
    return isinstance(value, str) and is_s3_uri(value) and not value[len(SCHEME) :].partition("/")[0]


def as_folder(uri: str) -> str:
    """Return the URI with a slash at its end, which keeps its neighbours out where it is a prefix."""
    return uri if uri.endswith("/") else f"{uri}/"


def below(uri: str, path: str) -> str:
    """Give the URI of a path below another URI."""
    bucket, key = S3Location.parse(uri)
    return join(bucket, key, path)


def join(bucket: str, *parts: str | None) -> str:
    """Give `s3://bucket/part/part` without empty, doubled or trailing slashes, as the SDK's s3_path_join does."""
    segments = [segment for part in parts if part for segment in part.split("/") if segment]
    return SCHEME + "/".join([bucket, *segments])
