from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    BucketError,
    DefinitionError,
    Problem,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing import Session

from .conftest import REGION
from .makers import ROLE_ARN

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.stub import Stubber

ACCOUNT = "123456789012"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
HEAD = {"Bucket": BUCKET, "ExpectedBucketOwner": ACCOUNT}
CREATE = {"Bucket": BUCKET, "CreateBucketConfiguration": {"LocationConstraint": REGION}}
NO_REGION = "no AWS region is configured: set region_name, AWS_DEFAULT_REGION or (in Airflow) the connection's"


@pytest.fixture
def implicit(stubs: dict[str, Stubber], session_factory: Callable[..., Session]) -> Session:
    """A session that has to find its own default bucket."""
    identity = {"Account": ACCOUNT, "UserId": "u", "Arn": "arn:aws:iam::123456789012:user/u"}
    stubs["sts"].add_response("get_caller_identity", identity)
    return session_factory()


def test_the_default_bucket_is_taken_if_it_is_there_and_looked_for_once(
    implicit: Session, stubs: dict[str, Stubber]
) -> None:
    stubs["s3"].add_response("head_bucket", {}, HEAD)

    assert [implicit.default_bucket(), implicit.default_bucket()] == [BUCKET, BUCKET]
    assert implicit.default_bucket_owner == ACCOUNT


def test_the_default_bucket_is_created_in_the_sessions_region(implicit: Session, stubs: dict[str, Stubber]) -> None:
    stubs["s3"].add_client_error("head_bucket", "404", http_status_code=404, expected_params=HEAD)
    stubs["s3"].add_response("create_bucket", {}, CREATE)

    assert implicit.default_bucket() == BUCKET


def test_in_us_east_1_a_bucket_is_created_without_a_location(
    stubs: dict[str, Stubber], clients: dict[str, Any]
) -> None:
    bucket = f"sagemaker-us-east-1-{ACCOUNT}"
    stubs["sts"].add_response("get_caller_identity", {"Account": ACCOUNT})
    stubs["s3"].add_client_error("head_bucket", "404", http_status_code=404)
    stubs["s3"].add_response("create_bucket", {}, {"Bucket": bucket})

    session = Session(boto3.Session(region_name="us-east-1"), client_factory=clients.__getitem__)

    assert session.default_bucket() == bucket


@pytest.mark.parametrize("code", ["BucketAlreadyOwnedByYou", "OperationAborted"])
def test_a_bucket_that_another_of_ours_creates_meanwhile_will_do(
    implicit: Session, stubs: dict[str, Stubber], code: str
) -> None:
    stubs["s3"].add_client_error("head_bucket", "404", http_status_code=404, expected_params=HEAD)
    stubs["s3"].add_client_error("create_bucket", code, http_status_code=409, expected_params=CREATE)

    assert implicit.default_bucket() == BUCKET


def test_a_bucket_of_another_account_is_refused(implicit: Session, stubs: dict[str, Stubber]) -> None:
    stubs["s3"].add_client_error("head_bucket", "403", "Forbidden", 403, expected_params=HEAD)

    with pytest.raises(BucketError) as caught:
        implicit.default_bucket()

    assert str(caught.value) == (
        f"The default bucket {BUCKET} can't be used by account {ACCOUNT}: An error occurred (403) when calling the "
        "HeadBucket operation: Forbidden. It belongs to another account, or access to it is forbidden. Set "
        "default_bucket, or S3 URIs for every input and output."
    )


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("BucketAlreadyExists", 409, BucketError),
        ("AccessDenied", 403, BucketError),
        ("SlowDown", 503, TransientError),
        ("InvalidLocationConstraint", 400, ServiceError),
    ],
)
def test_a_bucket_that_cannot_be_created_says_why(
    implicit: Session, stubs: dict[str, Stubber], code: str, status: int, expected: type[Exception]
) -> None:
    stubs["s3"].add_client_error("head_bucket", "404", http_status_code=404, expected_params=HEAD)
    stubs["s3"].add_client_error("create_bucket", code, http_status_code=status, expected_params=CREATE)

    with pytest.raises(expected) as caught:
        implicit.default_bucket()

    assert code in str(caught.value)


@pytest.mark.parametrize(("status", "expected"), [(503, TransientError), (400, ServiceError)])
def test_another_answer_about_the_bucket_is_not_told_as_a_foreign_one(
    implicit: Session, stubs: dict[str, Stubber], status: int, expected: type[Exception]
) -> None:
    stubs["s3"].add_client_error("head_bucket", str(status), http_status_code=status, expected_params=HEAD)

    with pytest.raises(expected) as caught:
        implicit.default_bucket()

    assert type(caught.value) is expected


def test_an_explicit_bucket_is_used_without_a_call(session: Session) -> None:
    assert (session.default_bucket(), session.default_bucket_name, session.default_bucket_owner) == (
        "bucket",
        "bucket",
        None,
    )


def test_a_role_name_is_expanded_by_iam(session: Session, stubs: dict[str, Stubber]) -> None:
    role = {
        "Path": "/",
        "RoleName": "SageMakerRole",
        "RoleId": "AROAMADEUPMADEUP",
        "Arn": ROLE_ARN,
        "CreateDate": "2026-01-01T00:00:00Z",
    }
    stubs["iam"].add_response("get_role", {"Role": role}, {"RoleName": "SageMakerRole"})

    assert session.expand_role("SageMakerRole") == ROLE_ARN


def test_an_arn_is_a_role_already(session: Session) -> None:
    assert session.expand_role(ROLE_ARN) == ROLE_ARN


def test_a_role_that_iam_does_not_know_is_a_wrong_definition(session: Session, stubs: dict[str, Stubber]) -> None:
    stubs["iam"].add_client_error("get_role", "NoSuchEntity", http_status_code=404)

    with pytest.raises(DefinitionError) as caught:
        session.expand_role("Absent")

    rule = "IAM knows no role of that name in this account: check the name, or use the role's ARN"
    assert caught.value.problems == (Problem("role", "Absent", rule),)


def test_iam_that_may_not_be_asked_is_a_missing_permission(session: Session, stubs: dict[str, Stubber]) -> None:
    stubs["iam"].add_client_error("get_role", "AccessDenied", "not authorized", 403)

    with pytest.raises(AccessDeniedError) as caught:
        session.expand_role("SageMakerRole")

    assert (caught.value.operation, caught.value.code) == ("GetRole", "AccessDenied")


def test_credentials_that_sts_refuses_are_a_missing_permission(
    stubs: dict[str, Stubber], session_factory: Callable[..., Session]
) -> None:
    stubs["sts"].add_client_error("get_caller_identity", "ExpiredToken", http_status_code=403)

    with pytest.raises(AccessDeniedError):
        session_factory().default_bucket()


def test_without_a_region_it_says_where_to_set_one() -> None:
    with pytest.raises(DefinitionError) as caught:
        _ = Session(boto3.Session()).sagemaker_client

    assert caught.value.problems == (Problem("region_name", None, NO_REGION),)


def test_the_region_may_be_that_of_the_given_client(clients: dict[str, Any]) -> None:
    session = Session(boto3.Session(), clients["sagemaker"])

    assert (session.boto_region_name, session.sagemaker_client) == (REGION, clients["sagemaker"])


def test_an_unknown_profile_is_one_of_our_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")

    with pytest.raises(AccessDeniedError, match=r"The config profile \(absent\) could not be found"):
        _ = Session().boto_session


def test_a_client_that_cannot_be_made_is_one_of_our_errors() -> None:
    with pytest.raises(ServiceError) as caught:
        Session(boto3.Session(region_name="not a region")).client("s3")

    assert caught.value.code == "InvalidRegionError"


def test_each_client_is_made_once_whatever_the_threads() -> None:
    made: list[str] = []
    another_came = threading.Event()

    def factory(service_name: str, /) -> object:
        made.append(service_name)
        if len(made) > 1:
            another_came.set()
        another_came.wait(0.1)  # leaves the door open to whoever isn't kept out
        return object()

    session = Session(boto3.Session(region_name=REGION), client_factory=factory)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: session.client("s3"), range(8)))

    assert (made, len(set(map(id, got)))) == (["s3"], 1)


def test_a_lost_connection_to_the_bucket_is_transient(session_factory: Callable[..., Session]) -> None:
    class Unreachable:
        def get_caller_identity(self) -> Any:
            raise EndpointConnectionError(endpoint_url="https://sts")

    session = Session(boto3.Session(region_name=REGION), client_factory=lambda _: Unreachable())

    with pytest.raises(TransientError):
        session.default_bucket()


def test_a_text_or_bytes_become_an_object_and_a_prefix_lists_its_keys(
    session: Session, stubs: dict[str, Stubber]
) -> None:
    stubs["s3"].add_response("put_object", {}, {"Bucket": "other", "Key": "a/k", "Body": "é".encode()})
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1"}
    stubs["s3"].add_response("put_object", {}, {"Bucket": "other", "Key": "a/b", "Body": b"\x00", **encrypted})
    found = {"Contents": [{"Key": "a/b"}, {"Key": "a/k"}]}
    stubs["s3"].add_response("list_objects_v2", found, {"Bucket": "other", "Prefix": "a/"})

    assert session.upload_string_as_file_body("é", "other", "a/k") == "s3://other/a/k"
    assert session.upload_string_as_file_body(b"\x00", bucket="other", key="a/b", kms_key="key-1") == "s3://other/a/b"
    assert session.list_s3_files("other", "a/") == ["a/b", "a/k"]
