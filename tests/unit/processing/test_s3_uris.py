from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing import S3Downloader, S3Uploader, Session
from airflow_sm_processing.processing.models import S3Location, is_s3_uri, join, names_no_bucket

if TYPE_CHECKING:
    from botocore.stub import Stubber


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://bucket/a/b.csv", ("bucket", "a/b.csv")),
        ("s3://bucket/a/", ("bucket", "a/")),
        ("s3://bucket//a", ("bucket", "/a")),
        ("s3://bucket", ("bucket", "")),
    ],
)
def test_a_uri_is_a_bucket_and_a_key(uri: str, location: tuple[str, str]) -> None:
    assert tuple(S3Location.parse(uri)) == location


@pytest.mark.parametrize(
    ("parts", "uri"),
    [
        (("a", "b"), "s3://bucket/a/b"),
        (("/a/", "//b//c/"), "s3://bucket/a/b/c"),
        ((None, "", "a"), "s3://bucket/a"),
        ((), "s3://bucket"),
    ],
)
def test_joining_leaves_no_empty_segment(parts: tuple[str | None, ...], uri: str) -> None:
    assert join("bucket", *parts) == uri


@pytest.mark.parametrize(
    ("text", "in_s3", "bucketless"),
    [
        ("s3://b/k", True, False),
        ("S3://b/k", True, False),
        ("s3://", True, True),
        ("s3:///k", True, True),
        ("s3:/b", False, False),
        ("/s3://b", False, False),
    ],
)
def test_what_is_in_s3_and_what_names_a_bucket(text: str, in_s3: bool, bucketless: bool) -> None:
    assert (is_s3_uri(text), names_no_bucket(text)) == (in_s3, bucketless)


@pytest.mark.parametrize("uri", ["bucket/key", "s3:///key", "/local/file"])
@pytest.mark.parametrize(
    "call",
    [
        lambda uri, session: S3Downloader.download(uri, "there", sagemaker_session=session),
        S3Downloader.list,
        S3Downloader.read_bytes,
        S3Downloader.read_file,
        lambda uri, session: S3Uploader.upload("here", uri, sagemaker_session=session),
        lambda uri, session: S3Uploader.upload_bytes(b"", uri, sagemaker_session=session),
        lambda uri, session: S3Uploader.upload_string_as_file_body("", uri, sagemaker_session=session),
    ],
)
def test_what_is_no_place_in_s3_is_refused_before_anything_is_sent(uri: str, call: Any, session: Session) -> None:
    with pytest.raises(DefinitionError, match="must be s3://bucket/key"):
        call(uri, session)


def test_a_key_encrypts_what_is_uploaded(session: Session, stubs: dict[str, Stubber]) -> None:
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1", "Bucket": "b"}
    for name in ("text", "bytes"):
        stubs["s3"].add_response("put_object", {}, {"Key": name, "Body": b"x", **encrypted})

    S3Uploader.upload_string_as_file_body("x", "s3://b/text", "key-1", session)
    S3Uploader.upload_bytes(io.BytesIO(b"x"), "s3://b/bytes", "key-1", session)
