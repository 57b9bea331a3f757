"""Reads small objects from S3, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import AccessDeniedError, ServiceError, TransientError
from airflow_sm_processing.processing.answers import readable
from airflow_sm_processing.processing.aws_errors import answer_read, aws_call
from airflow_sm_processing.processing.s3_uris import S3Location

if TYPE_CHECKING:
    from airflow_sm_processing.processing.session import Session

__all__ = ["LargeObjectError", "may_be_absent", "read_object"]


class LargeObjectError(ValueError):
    """An object is larger than what is read of it."""

    def __init__(self, uri: str, size: int, max_bytes: int) -> None:
        self.size = size
        super().__init__(f"{uri} has {size:,} bytes, and {max_bytes:,} are read at most")


def read_object(session: Session, uri: str, *, max_bytes: int) -> bytes:
    """Give the content of an object.

    Raises:
        ServiceError: S3 refused, couldn't be reached, or broke off.
        LargeObjectError: It has more than `max_bytes`.
    """
    from urllib3.exceptions import HTTPError

    bucket, key = S3Location.parse(uri)
    with aws_call("GetObject", uri):
        found = session.s3_client.get_object(Bucket=bucket, Key=key)
    with found["Body"] as body:
        with answer_read("GetObject", uri):
            readable(session.s3_client, "GetObject", found, "ContentLength", "ETag")  # a proxy's page has no ETag
        size = found["ContentLength"]
        if size > max_bytes:
            raise LargeObjectError(uri, size, max_bytes)
        with aws_call("GetObject", uri):
            try:
                content: bytes = body.read()  # with a number, neither botocore nor urllib3 checks the length
            except HTTPError as error:  # which botocore lets pass where a content is read
                message = f"GetObject for {uri} was broken off: {error}. It may work later."
                raise TransientError(message, operation="GetObject", code=type(error).__name__) from error
    return content


def may_be_absent(error: ServiceError) -> bool:
    """Tell whether an object isn't there, or may not be read: without s3:ListBucket, S3 says this of an absent one."""
    return error.code == "NoSuchKey" or isinstance(error, AccessDeniedError)
