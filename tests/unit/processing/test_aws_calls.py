"""Every upstream failure maps to one of ours."""

from __future__ import annotations

import inspect
import socket
import string
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions as botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    CapacityError,
    DefinitionError,
    JobNameInUseError,
    JobNotFoundError,
    JobRejectedError,
    MalformedResponseError,
    Problem,
    ProcessingError,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing.aws_calls import aws_call

if TYPE_CHECKING:
    import boto3

CALLS = {
    "sagemaker": ("CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob", "ListProcessingJobs"),
    "s3": ("HeadBucket", "CreateBucket", "PutObject"),
    "sts": ("GetCallerIdentity",),
    "iam": ("GetRole",),
    "logs": ("DescribeLogStreams", "GetLogEvents"),
}


QUOTA = (
    "The account-level service limit 'ml.m5.4xlarge for processing job usage' is {limit} Instances, with current "
    "utilization of {used} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to "
    "request an increase for this quota."
)


def answer(
    code: str, message: str = "why", *, status: int = 400, operation: str = "DescribeProcessingJob"
) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def ours(error: Exception, operation: str = "DescribeProcessingJob") -> ProcessingError:
    with pytest.raises(ProcessingError) as caught, aws_call(operation, "job"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("limit", "delta", "expected"), [(0, 1, JobRejectedError), (2, 3, JobRejectedError), (3, 3, CapacityError)]
)
def test_a_quota_below_what_one_job_asks_for_is_not_waited_out(
    limit: int, delta: int, expected: type[ProcessingError]
) -> None:
    refusal = answer("ResourceLimitExceeded", QUOTA.format(limit=limit, used=0, delta=delta))
    assert type(ours(refusal, "CreateProcessingJob")) is expected


@pytest.mark.parametrize(
    ("operation", "code", "status", "expected"),
    [
        ("CreateProcessingJob", "ValidationException", 400, JobRejectedError),
        ("CreateProcessingJob", "ResourceNotFound", 400, JobRejectedError),
        ("CreateProcessingJob", "ResourceInUse", 400, JobNameInUseError),
        ("CreateProcessingJob", "ResourceLimitExceeded", 400, CapacityError),
        ("CreateProcessingJob", "CapacityError", 400, CapacityError),
        ("CreateProcessingJob", "AccessDeniedException", 400, AccessDeniedError),
        ("DescribeProcessingJob", "ResourceNotFound", 400, JobNotFoundError),
        ("DescribeProcessingJob", "ValidationException", 400, ServiceError),
        ("StopProcessingJob", "ResourceNotFound", 400, JobNotFoundError),
        ("StopProcessingJob", "ValidationException", 400, ServiceError),
        ("ListProcessingJobs", "ThrottlingException", 400, TransientError),
        ("ListProcessingJobs", "InternalFailure", 500, TransientError),
        ("ListProcessingJobs", "ServiceUnavailable", 503, TransientError),
        ("ListProcessingJobs", "Unheard", 429, TransientError),
        ("ListProcessingJobs", "Unheard", 400, ServiceError),
        ("ListProcessingJobs", "Unheard", 403, AccessDeniedError),
        ("GetCallerIdentity", "InvalidClientTokenId", 403, AccessDeniedError),
        ("GetCallerIdentity", "ExpiredToken", 403, AccessDeniedError),
        ("GetRole", "NoSuchEntity", 404, ServiceError),
        ("GetRole", "AccessDenied", 403, AccessDeniedError),
        ("GetRole", "ServiceFailure", 500, TransientError),
        ("HeadBucket", "404", 404, ServiceError),
        ("HeadBucket", "403", 403, AccessDeniedError),
        ("PutObject", "NoSuchBucket", 404, ServiceError),
        ("PutObject", "SlowDown", 503, TransientError),
        ("PutObject", "InvalidAccessKeyId", 403, AccessDeniedError),
        ("PutObject", "RequestTimeTooSkewed", 403, AccessDeniedError),
        ("PutObject", "InvalidToken", 400, AccessDeniedError),
        ("DescribeLogStreams", "ResourceNotFoundException", 400, JobNotFoundError),
        ("GetLogEvents", "UnrecognizedClientException", 400, AccessDeniedError),
        ("GetLogEvents", "ServiceUnavailableException", 503, TransientError),
        ("GetLogEvents", "InvalidParameterException", 400, ServiceError),
    ],
)
def test_a_services_answer_has_its_class(operation: str, code: str, status: int, expected: type[Exception]) -> None:
    original = answer(code, status=status, operation=operation)

    error = ours(original, operation)

    assert type(error) is expected
    assert error.__cause__ is original
    assert f"{code}: why" in str(error)


def test_every_error_that_the_models_name_is_one_of_ours(clients: dict[str, Any]) -> None:
    for service, operations in CALLS.items():
        model = clients[service].meta.service_model
        for operation in operations:
            for shape in model.operation_model(operation).error_shapes:
                details = shape.metadata.get("error", {})
                code = details.get("code", shape.name)
                error = ours(answer(code, status=details.get("httpStatusCode", 400)), operation)
                assert isinstance(error, (ServiceError, JobRejectedError)), (operation, code)
                assert error.code == code


@pytest.mark.parametrize("code", ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
@pytest.mark.parametrize("operation", ["CreateProcessingJob", "DescribeProcessingJob"])
def test_what_botocore_calls_throttling_is_transient(operation: str, code: str) -> None:
    assert type(ours(answer(code), operation)) is TransientError


@pytest.mark.parametrize("code", TransientRetryableChecker._TRANSIENT_ERROR_CODES)
def test_what_botocore_calls_transient_is_transient(code: str) -> None:
    assert type(ours(answer(code))) is TransientError


@pytest.mark.parametrize("status", TransientRetryableChecker._TRANSIENT_STATUS_CODES)
def test_a_servers_trouble_is_transient_whatever_its_code(status: int) -> None:
    assert type(ours(answer("Whatever", status=status))) is TransientError


def test_a_missing_job_may_be_told_by_the_validation() -> None:
    error = ours(answer("ValidationException", "Could not find requested job with name: job"))

    assert type(error) is JobNotFoundError
    assert str(error) == (
        "DescribeProcessingJob for job failed: ValidationException: Could not find requested job with name: job"
        ". Check the name, the account and the region; a job that was deleted is gone."
    )


def test_a_rejection_carries_the_services_words() -> None:
    error = ours(answer("ValidationException", "1 validation error detected"), "CreateProcessingJob")

    assert isinstance(error, JobRejectedError)
    assert (error.job_name, error.code, error.reason) == ("job", "ValidationException", "1 validation error detected")
    assert error.problems == (
        Problem("CreateProcessingJob", "job", "ValidationException: 1 validation error detected"),
    )


def test_an_answer_without_code_or_message_is_still_told() -> None:
    error = ours(ClientError({}, "DescribeProcessingJob"))

    assert str(error) == "DescribeProcessingJob for job failed: Unknown: no message"


CREDENTIALS = {
    "CredentialRetrievalError", "InfiniteLoopConfigError", "InvalidConfigError", "LoginAuthorizationCodeError",
    "LoginError", "LoginInsufficientPermissions", "LoginRefreshRequired", "LoginTokenLoadError",
    "MetadataRetrievalError", "NoAuthTokenError", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound",
    "RefreshWithMFAUnsupportedError", "SSOError", "SSOTokenLoadError", "TokenRetrievalError",
    "UnauthorizedSSOTokenError", "UnknownCredentialError", "UnknownTokenProviderError",
}  # fmt: skip
PASSING = {
    "CapacityNotAvailableError", "ChecksumError", "ConnectTimeoutError", "ConnectionClosedError", "ConnectionError",
    "EndpointConnectionError", "FlexibleChecksumError", "HTTPClientError", "IncompleteReadError",
    "ProxyConnectionError", "ReadTimeoutError", "ResponseStreamingError", "SSLError",
}  # fmt: skip
OTHERWISE = {"ParamValidationError": DefinitionError, "PaginationError": MalformedResponseError}
KINDS = {
    name: kind
    for name, kind in vars(botocore).items()
    if inspect.isclass(kind) and issubclass(kind, BotoCoreError) and not issubclass(kind, ClientError)
}


def made(kind: type[BotoCoreError]) -> BotoCoreError:
    values: dict[str, Any] = {name: "x" for _, name, _, _ in string.Formatter().parse(kind.fmt) if name}
    return kind(**values, **({"last_response": {}} if kind is botocore.WaiterError else {}))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_error_of_botocore_itself_is_one_of_ours(name: str) -> None:
    original = made(KINDS[name])

    error = ours(original)

    expected = AccessDeniedError if name in CREDENTIALS else TransientError if name in PASSING else ServiceError
    assert type(error) is OTHERWISE.get(name, expected)
    assert error.__cause__ is original
    assert str(original).rpartition("\n")[2].rstrip(".") in str(error)


def test_the_lists_above_name_errors_that_botocore_has() -> None:
    assert set(KINDS) >= CREDENTIALS | PASSING


def test_a_certificate_that_is_not_trusted_is_not_waited_out() -> None:
    error = ours(botocore.SSLError(endpoint_url="https://x", error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))

    assert type(error) is ServiceError
    assert str(error).endswith("Check the endpoint and `verify` (in Airflow: the connection's); a retry can't help.")


def test_a_connection_that_nobody_takes_is_transient(boto_session: boto3.Session) -> None:
    once = Config(retries={"total_max_attempts": 1})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = boto_session.client("sagemaker", endpoint_url=f"http://127.0.0.1:{port}", config=once)

    with pytest.raises(TransientError) as caught, aws_call("DescribeProcessingJob", "job"):
        client.describe_processing_job(ProcessingJobName="job")

    assert caught.value.code == "EndpointConnectionError"


def test_an_answer_that_cannot_be_read_is_transient() -> None:
    error = ours(ResponseParserError("Unable to parse response, invalid XML"))

    assert type(error) is MalformedResponseError
    assert error.code == "ResponseParserError"


def test_parameters_that_botocore_refuses_are_a_wrong_definition(clients: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as caught, aws_call("DescribeProcessingJob", "job"):
        clients["sagemaker"].describe_processing_job()

    rule = 'Missing required parameter in input: "ProcessingJobName"'
    assert caught.value.problems == (Problem("DescribeProcessingJob", "job", rule),)


def test_errors_of_others_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), aws_call("DescribeProcessingJob", "job"):
        raise ZeroDivisionError


SIGNED = (
    "The request signature we calculated does not match the signature you provided.\n\n"
    "The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:FwoGZX\n'"
)
INCOMPLETE = "Authorization header requires 'Credential'. in Authorization header: 'AWS4-HMAC-SHA256 Signature=FwoGZX'"


@pytest.mark.parametrize(
    ("code", "message", "kept"),
    [
        ("InvalidSignatureException", SIGNED, "does not match the signature you provided."),
        ("SignatureDoesNotMatch", SIGNED, "does not match the signature you provided."),
        ("IncompleteSignature", INCOMPLETE, "requires 'Credential'."),
    ],
)
def test_a_quoted_request_shows_neither_in_the_error_nor_in_its_cause(code: str, message: str, kept: str) -> None:
    error = ours(answer(code, message, status=403))

    shown = "".join(traceback.format_exception(error))
    assert type(error) is AccessDeniedError
    assert isinstance(error.__cause__, ClientError)
    assert kept in str(error)
    assert "FwoGZX" not in shown
    assert "FwoGZX" not in repr(error.__cause__.response)
