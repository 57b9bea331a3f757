"""The one place where botocore's errors become ours."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
from airflow_sm_processing.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["answer_read", "aws_call", "is_pressure", "is_throttle", "may_pass", "translated"]

_SERVER_ERRORS = 500
_DENIED_STATUSES = frozenset({401, 403})
_TOO_MANY_REQUESTS = 429
# Credential troubles that are answered with status 400.
_DENIED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "AccessDenied",
        "AccessDeniedException",
    }
)
_CAPACITY = frozenset({"ResourceLimitExceeded", "CapacityError"})
_QUOTA = re.compile(r"limit '.+?' is ([\d.]+) .*request delta of ([\d.]+) ", re.DOTALL)
_NOT_FOUND = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
# On CreateProcessingJob, what isn't found is something that the definition names, such as its experiment.
_REJECTED = frozenset({"ValidationException", "ResourceNotFound"})
_NO_JOB = re.compile("could not find", re.IGNORECASE)  # DescribeProcessingJob may say it as a ValidationException
# Signature errors explain themselves by quoting the request: its headers, security token and signature included.
_SIGNATURE = frozenset({"IncompleteSignature", "InvalidSignatureException", "SignatureDoesNotMatch"})
_QUOTED_REQUEST = re.compile(r"\n|in Authorization header")
# Names of botocore's own exceptions, which are looked up late: the parse law. An older botocore lacks some.
_CREDENTIAL_ERRORS = (
    "CredentialRetrievalError",
    "InvalidConfigError",
    "LoginError",
    "MetadataRetrievalError",
    "NoAuthTokenError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RefreshWithMFAUnsupportedError",
    "SSOError",
    "TokenRetrievalError",
    "UnknownCredentialError",
    "UnknownTokenProviderError",
)
_PASSING_ERRORS = (
    "CapacityNotAvailableError",
    "ChecksumError",
    "ConnectionError",
    "FlexibleChecksumError",
    "HTTPClientError",
    "IncompleteReadError",
)
_PASSING_CRT_ERRORS = ("AWS_IO_", "AWS_ERROR_HTTP_", "AWS_ERROR_S3_SLOW_DOWN", "AWS_ERROR_S3_INTERNAL_ERROR")
_LASTING_CRT_ERRORS = ("AWS_IO_TLS_",)
# What botocore's parsers and ours raise of an answer that isn't what the service's model says.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_CALL = ("botocore.client", "_make_api_call")
# Functions of botocore, called by that one, that make the request.
_REQUEST = frozenset(
    {"_convert_to_request_dict", "_emit_api_params", "_resolve_endpoint_ruleset", "create_request", "prepare_request"}
)
_SHOWN_CHARACTERS = 300


@contextmanager
def aws_call(operation: str, subject: str, *, hide: Callable[[str], str] = str) -> Iterator[None]:
    """Raise our own error for whatever botocore raises in the block.

    Args:
        operation: The API's name for the call, such as `DescribeProcessingJob`.
        subject: What the call is about, such as the job's name.
        hide: Takes out of the service's words what the request has that must not be shown.

    Raises:
        ProcessingError: The one that fits; the original is its cause.
    """
    from botocore.exceptions import BotoCoreError, ClientError, PaginationError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (ResponseParserError, PaginationError) as error:  # the first has no base class; the second: a token repeats
        raise _malformed(error, operation=operation, subject=subject) from error
    except (ClientError, BotoCoreError) as error:
        shown = _without_secrets(error, hide)
        raise translated(shown, operation=operation, subject=subject) from shown
    except _UNREADABLE as error:
        if isinstance(error, ProcessingError) or not _is_of_an_answer(error):
            raise
        raise _malformed(error, operation=operation, subject=subject) from error


@contextmanager
def answer_read(operation: str, subject: str) -> Iterator[None]:
    """Raise `MalformedResponseError` if the block can't read an answer: to read it is part of the call.

    The arguments are those of `aws_call`. Whatever is taken from an answer is taken in such a block, and nothing else
    is done there.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise _malformed(error, operation=operation, subject=subject) from error


def _malformed(error: Exception, *, operation: str, subject: str) -> MalformedResponseError:
    what = one_line(str(error.args[0] if isinstance(error, KeyError) and error.args else error) or type(error).__name__)
    if isinstance(error, KeyError):
        reason = f"it has no {what}"
    elif isinstance(error, (AttributeError, TypeError)):
        reason = f"one of its fields is of another kind than the service's model says ({what})"
    else:
        reason = what
    if len(reason) > _SHOWN_CHARACTERS:
        reason = f"{reason[:_SHOWN_CHARACTERS]}…"
    message = f"{operation} for {subject} was answered with something that can't be read: {reason}. It may work later."
    return MalformedResponseError(message, operation=operation, code=type(error).__name__)


def _is_of_an_answer(error: Exception) -> bool:
    """Tell whether botocore raised an error of no kind of its own when it had the answer to a call."""
    frames = set(_frames(error.__traceback__))
    return _CALL in frames and not any(module.startswith("botocore.") and name in _REQUEST for module, name in frames)


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_frame.f_code.co_name
        trace = trace.tb_next


def translated(error: ClientError | BotoCoreError, *, operation: str, subject: str) -> ProcessingError:
    """Give our error for botocore's."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _from_response(error, operation=operation, subject=subject)
    return _from_client_side(error, operation=operation, subject=subject)


def _from_response(error: ClientError, *, operation: str, subject: str) -> ProcessingError:
    code, reason = _code_and_reason(error)
    if operation == "CreateProcessingJob" and (code in _REJECTED or _never_fits(code, reason)):
        return JobRejectedError(subject, code=code, reason=reason)
    cls, advice = _service_error(error, code, reason)
    message = _sentences(f"{operation} for {subject} failed: {code}: {reason}", advice)
    return cls(message, operation=operation, code=code)


def _never_fits(code: str, reason: str) -> bool:
    """Tell whether a quota is below what the one job asks for: then the end of others doesn't help."""
    quota = _QUOTA.search(reason) if code == "ResourceLimitExceeded" else None
    return quota is not None and float(quota[1]) < float(quota[2])


def _code_and_reason(error: ClientError) -> tuple[str, str]:
    answer = error.response.get("Error", {})
    code, reason = str(answer.get("Code", "Unknown")), str(answer.get("Message", ""))
    if code in _SIGNATURE:
        reason = _QUOTED_REQUEST.split(reason)[0].rstrip()
    return code, reason or "no message"


def _without_secrets(error: ClientError | BotoCoreError, hide: Callable[[str], str]) -> ClientError | BotoCoreError:
    """Give the error itself, or its copy without what must not be shown: tracebacks print causes too."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return error
    code, reason = _code_and_reason(error)
    reason = hide(reason)
    if reason == error.response.get("Error", {}).get("Message", "no message"):
        return error
    response: Any = {**error.response, "Error": {"Code": code, "Message": reason}}
    return ClientError(response, error.operation_name).with_traceback(error.__traceback__)


def _service_error(error: ClientError, code: str, reason: str) -> tuple[type[ServiceError], str]:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _CAPACITY:
        return CapacityError, "It works when other jobs have ended, or with a higher quota."
    if _is_transient(code, status):
        return TransientError, "It may work later."
    if code in _DENIED or status in _DENIED_STATUSES:
        return AccessDeniedError, "Check the AWS connection's credentials and the permissions of their role."
    if code in _NOT_FOUND or (code == "ValidationException" and _NO_JOB.search(reason)):
        return JobNotFoundError, "Check the name, the account and the region; a job that was deleted is gone."
    if code == "ResourceInUse":
        return JobNameInUseError, (
            "Job names are unique in an account and region: choose another job_name, or give base_job_name instead, "
            "from which each job gets a name of its own."
        )
    return ServiceError, ""


def may_pass(error: Exception) -> bool:
    """Tell whether the same may work later, of an error of botocore's, of s3transfer's or of the AWS CRT's."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    if isinstance(error, (ClientError, BotoCoreError)):
        return isinstance(translated(error, operation="PutObject", subject="a file"), TransientError)
    if isinstance(error, ResponseParserError) or (isinstance(error, _UNREADABLE) and _is_of_an_upload(error)):
        return True
    name = str(getattr(error, "name", ""))  # AwsCrtError's, such as AWS_IO_SOCKET_CLOSED
    return name.startswith(_PASSING_CRT_ERRORS) and not name.startswith(_LASTING_CRT_ERRORS)


def _is_of_an_upload(error: Exception) -> bool:
    """Tell the same of a call that s3transfer made, which takes what it needs from the answer itself."""
    is_missing = isinstance(error, KeyError) and any(
        module.startswith("s3transfer.") for module, _ in _frames(error.__traceback__)
    )
    return is_missing or _is_of_an_answer(error)


def is_throttle(code: str) -> bool:
    """Tell whether a `ServiceError.code` says that there were too many calls."""
    from botocore.retries.standard import ThrottledRetryableChecker

    return code in ThrottledRetryableChecker._THROTTLED_ERROR_CODES  # type: ignore[attr-defined]  # noqa: SLF001  # botocore's list is nowhere else


def is_pressure(error: ServiceError) -> bool:
    """Tell whether there was too much at once: too many calls, or no room for another job."""
    return isinstance(error, CapacityError) or is_throttle(error.code)


def _is_transient(code: str, status: int) -> bool:
    from botocore.retries.standard import TransientRetryableChecker

    transients = TransientRetryableChecker._TRANSIENT_ERROR_CODES  # type: ignore[attr-defined]  # noqa: SLF001  # botocore's list is nowhere else
    if status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
        return True
    return is_throttle(code) or code in transients


def _from_client_side(error: BotoCoreError, *, operation: str, subject: str) -> ProcessingError:
    from botocore.exceptions import ParamValidationError

    if isinstance(error, ParamValidationError):
        return DefinitionError([Problem(operation, subject, str(error.kwargs.get("report", error)))], subject=subject)
    cls, advice = _client_side_error(error)
    name = type(error).__name__
    message = _sentences(f"{operation} for {subject} failed: {name}: {error}", advice)
    return cls(message, operation=operation, code=name)


def _sentences(what: str, advice: str) -> str:
    return f"{what.rstrip('.')}. {advice}" if advice else what


def _client_side_error(error: BotoCoreError) -> tuple[type[ServiceError], str]:
    from botocore import exceptions as botocore

    if isinstance(error, botocore.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ServiceError, "Check the endpoint and the connection's `verify`: time doesn't mend a certificate."
    for kind in _CREDENTIAL_ERRORS:
        if isinstance(error, getattr(botocore, kind, ())):
            return AccessDeniedError, "Check the AWS connection's credentials."
    for kind in _PASSING_ERRORS:
        if isinstance(error, getattr(botocore, kind, ())):
            return TransientError, "It may work later."
    return ServiceError, ""
