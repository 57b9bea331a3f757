from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from airflow_sm_processing.exceptions import BucketError, UploadError
from airflow_sm_processing.processing.uploads.files import Destination, LocalFile
from airflow_sm_processing.processing.uploads.transfer import Failure, upload_error

DESTINATION = Destination("b", "p")


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "why"}}, "PutObject")


def failure(error: Exception, number: int = 0) -> Failure:
    return Failure(LocalFile(f"/data/{number}", f"{number}", 1), error)


@pytest.mark.parametrize("code", ["NoSuchBucket", "AccessDenied", "AllAccessDisabled"])
def test_what_s3_says_of_the_bucket_is_a_bucket_error(code):
    assert type(upload_error([failure(refusal(code))], DESTINATION, files=2)) is BucketError


@pytest.mark.parametrize("error", [refusal("InternalError"), FileNotFoundError("gone"), ConnectionError()])
def test_all_else_is_an_upload_error(error):
    assert type(upload_error([failure(error)], DESTINATION, files=2)) is UploadError


def test_the_first_failures_are_shown_and_the_rest_counted():
    failures = [failure(OSError(f"reason {number}"), number) for number in range(5)]

    assert str(upload_error(failures, DESTINATION, files=2000)) == (
        "Upload failed for 5 of 2,000 files; the rest was cancelled:\n"
        "  - /data/0 -> s3://b/p/0: reason 0\n"
        "  - /data/1 -> s3://b/p/1: reason 1\n"
        "  - /data/2 -> s3://b/p/2: reason 2\n"
        "  … and 2 more"
    )


def test_an_error_without_text_shows_its_type():
    assert str(upload_error([failure(ConnectionError())], DESTINATION, files=1)) == (
        "Upload failed for the only file:\n  - /data/0 -> s3://b/p/0: ConnectionError"
    )
