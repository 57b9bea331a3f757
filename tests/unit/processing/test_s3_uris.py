from __future__ import annotations

import pytest

from airflow_sm_processing.processing.models import S3Location, is_s3_uri, join, names_no_bucket


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
    assert S3Location.parse(uri) == location


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
