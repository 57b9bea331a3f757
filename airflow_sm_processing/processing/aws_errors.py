"""The one place where botocore's errors become ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    DefinitionError,
    JobNameInUseError,
    JobNotFoundError,
    JobRejectedError,
    Problem,
    ProcessingError,
    ServiceError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["aws_call", "translated"]

_SERVER_ERRORS = 500
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NOT_FOUND = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
_NO_JOB_TEXTS = (
    "Could not find",
    "could not find",
)  # DescribeProcessingJob may say it as a ValidationException


@contextmanager
def aws_call(operation: str, subject: str) -> Iterator[None]:
    """Raise our own error for whatever botocore raises in the block.

    Args:
        operation: The API's name for the call, such as `DescribeProcessingJob`.
        subject: What the call is about, such as the job's name.

    Raises:
        ProcessingError: The one that fits; the original is its cause.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translated(error, operation=operation, subject=subject) from error


def translated(error: ClientError | BotoCoreError, *, operation: str, subject: str) -> ProcessingError:
    """Give our error for botocore's."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _from_response(error, operation=operation, subject=subject)
    return _from_client_side(error, operation=operation, subject=subject)


def _from_response(error: ClientError, *, operation: str, subject: str) -> ProcessingError:
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    reason = str(error.response.get("Error", {}).get("Message", "")) or "no message"
    if operation == "CreateProcessingJob" and code == "ValidationException":
        return JobRejectedError(subject, code=code, reason=reason)
    cls, advice = _service_error(error, code, reason)
    return cls(f"{operation} for {subject} failed: {code}: {reason}{advice}", operation=operation, code=code)


def _service_error(error: ClientError, code: str, reason: str) -> tuple[type[ServiceError], str]:
    if _is_transient(error, code):
        return TransientError, ". It may work later."
    if code in _DENIED:
        return (
            AccessDeniedError,
            ". Check the AWS connection's credentials and the permissions of their role.",
        )
    if code in _NOT_FOUND or (code == "ValidationException" and any(text in reason for text in _NO_JOB_TEXTS)):
        return (
            JobNotFoundError,
            ". Check the name, the account and the region; a job that was deleted is gone.",
        )
    if code == "ResourceInUse":
        return JobNameInUseError, ". Job names are unique in an account and region: choose another name."
    return ServiceError, ""


def _is_transient(error: ClientError, code: str) -> bool:
    from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

    throttles = ThrottledRetryableChecker._THROTTLED_ERROR_CODES  # type: ignore[attr-defined]  # noqa: SLF001  # botocore's list is nowhere else
    transients = TransientRetryableChecker._TRANSIENT_ERROR_CODES  # type: ignore[attr-defined]  # noqa: SLF001  # the same
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in throttles or code in transients or code == "ResourceLimitExceeded" or status >= _SERVER_ERRORS


def _from_client_side(error: BotoCoreError, *, operation: str, subject: str) -> ProcessingError:
    from botocore import exceptions as botocore

    name = type(error).__name__
    message = f"{operation} for {subject} failed: {name}: {error}"
    if isinstance(error, botocore.ParamValidationError):
        return DefinitionError([Problem(operation, subject, str(error.kwargs.get("report", error)))], subject=subject)
    if isinstance(error, (botocore.NoCredentialsError, botocore.PartialCredentialsError, botocore.TokenRetrievalError)):
        return AccessDeniedError(f"{message}. Check the AWS connection.", operation=operation, code=name)
    if isinstance(error, (botocore.HTTPClientError, botocore.ConnectionError, botocore.ResponseStreamingError)):
        return TransientError(f"{message}. It may work later.", operation=operation, code=name)
    return ServiceError(message, operation=operation, code=name)
