"""Call AWS: translate botocore's errors to this package's, and check responses against the service's model.

The check is needed because botocore itself accepts any JSON as a response.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random,
    wait_random_exponential,
)

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
    UploadError,
)
from airflow_sm_processing.redaction import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from types import TracebackType

    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.model import Shape
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef
    from tenacity.wait import wait_base

__all__ = [
    "LargeObjectError",
    "RetryBudget",
    "answer_read",
    "aws_call",
    "backoff",
    "content_of",
    "error_of",
    "in_utc",
    "is_pressure",
    "is_throttle",
    "jittered",
    "may_pass",
    "new_token",
    "readable",
    "retry",
    "retry_async",
    "retrying",
    "summaries",
    "translated",
]


log = logging.getLogger(__name__)


_SERVER_ERRORS = 500
_DENIED_STATUSES = frozenset({401, 403})
_TOO_MANY_REQUESTS = 429
# Credential errors that have the status 400.
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
# With CreateProcessingJob, "not found" is about something that the definition names, such as its experiment.
_REJECTED = frozenset({"ValidationException", "ResourceNotFound"})
_NO_JOB = re.compile("could not find", re.IGNORECASE)  # DescribeProcessingJob may report it as a ValidationException
# The messages of signature errors quote the request with its headers, security token and signature.
_SIGNATURE = frozenset({"IncompleteSignature", "InvalidSignatureException", "SignatureDoesNotMatch"})
_QUOTED_REQUEST = re.compile(r"\n|in Authorization header")
# Names of botocore's exceptions. They are looked up late, since a DAG file's parse must not load botocore; an older
# botocore doesn't have some of them.
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
# What botocore's parsers and ours raise for a response that doesn't match the service's model.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_CALL = ("botocore.client", "_make_api_call")
# Functions that the former calls to send the request.
_REQUEST = frozenset(
    {"_convert_to_request_dict", "_emit_api_params", "_resolve_endpoint_ruleset", "create_request", "prepare_request"}
)
_SHOWN_CHARACTERS = 300


@contextmanager
def aws_call(operation: str, subject: str, *, hide: Callable[[str], str] = str) -> Iterator[None]:
    """Translate botocore's errors in the block to this package's.

    Args:
        operation: The API's name for the call, such as `DescribeProcessingJob`.
        subject: What the call is about, such as the job's name.
        hide: Removes the request's secrets from the service's message.

    Raises:
        ProcessingError: The translated error; the original one is its cause.
    """
    from botocore.exceptions import BotoCoreError, ClientError, PaginationError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (ResponseParserError, PaginationError) as error:  # the former has no base class
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
    """Raise `MalformedResponseError` if the block can't read a response: reading it is part of the call.

    The arguments are those of `aws_call`. Everything that is taken from a response must be taken in such a block, which
    must do nothing else.
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
    message = f"{operation} for {subject} returned an unreadable response: {reason}. It may work later."
    return MalformedResponseError(message, operation=operation, code=type(error).__name__)


def _is_of_an_answer(error: Exception) -> bool:
    """Return whether botocore raised another kind of error than its own after it had received the response."""
    frames = set(_frames(error.__traceback__))
    return _CALL in frames and not any(module.startswith("botocore.") and name in _REQUEST for module, name in frames)


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_frame.f_code.co_name
        trace = trace.tb_next


def translated(error: ClientError | BotoCoreError, *, operation: str, subject: str) -> ProcessingError:
    """Return this package's error for one of botocore's."""
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
    """Return whether a quota is too small even for this one job, so that the end of other jobs won't help."""
    quota = _QUOTA.search(reason) if code == "ResourceLimitExceeded" else None
    return quota is not None and float(quota[1]) < float(quota[2])


def _code_and_reason(error: ClientError) -> tuple[str, str]:
    answer = error.response.get("Error", {})
    code, reason = str(answer.get("Code", "Unknown")), str(answer.get("Message", ""))
    if code in _SIGNATURE:
        reason = _QUOTED_REQUEST.split(reason)[0].rstrip()
    return code, reason or "no message"


def _without_secrets(error: ClientError | BotoCoreError, hide: Callable[[str], str]) -> ClientError | BotoCoreError:
    """Return the error, or a copy of it without secrets, because tracebacks print causes too."""
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
        return (
            AccessDeniedError,
            "Check the credentials in use (in Airflow: the connection's), and the permissions of their role.",
        )
    if code in _NOT_FOUND or (code == "ValidationException" and _NO_JOB.search(reason)):
        return JobNotFoundError, "Check the name, the account and the region; a job that was deleted is gone."
    if code == "ResourceInUse":
        return JobNameInUseError, (
            "Job names are unique in an account and region: choose another job_name, or set base_job_name instead, "
            "from which each job gets a name of its own."
        )
    return ServiceError, ""


def may_pass(error: Exception) -> bool:
    """Return whether the same call may work later, after an error of botocore, s3transfer or the AWS CRT."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    if isinstance(error, (ClientError, BotoCoreError)):
        return isinstance(translated(error, operation="PutObject", subject="a file"), TransientError)
    if isinstance(error, ResponseParserError) or (isinstance(error, _UNREADABLE) and _is_of_an_upload(error)):
        return True
    name = str(getattr(error, "name", ""))  # AwsCrtError's, such as AWS_IO_SOCKET_CLOSED
    return name.startswith(_PASSING_CRT_ERRORS) and not name.startswith(_LASTING_CRT_ERRORS)


def _is_of_an_upload(error: Exception) -> bool:
    """Return whether s3transfer failed to read a response, in one of its own calls."""
    is_missing = isinstance(error, KeyError) and any(
        module.startswith("s3transfer.") for module, _ in _frames(error.__traceback__)
    )
    return is_missing or _is_of_an_answer(error)


def is_throttle(code: str) -> bool:
    """Return whether a `ServiceError.code` means that there were too many calls."""
    from botocore.retries.standard import ThrottledRetryableChecker

    return code in ThrottledRetryableChecker._THROTTLED_ERROR_CODES  # type: ignore[attr-defined]  # noqa: SLF001  # botocore's list is nowhere else


def is_pressure(error: ServiceError) -> bool:
    """Return whether the error means too many calls, or no capacity for another job."""
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
        return (
            ServiceError,
            "Check the endpoint and `verify` (in Airflow: the connection's); a retry can't help.",
        )
    for kind in _CREDENTIAL_ERRORS:
        if isinstance(error, getattr(botocore, kind, ())):
            return AccessDeniedError, "Check the credentials in use (in Airflow: the connection's)."
    for kind in _PASSING_ERRORS:
        if isinstance(error, getattr(botocore, kind, ())):
            return TransientError, "It may work later."
    return ServiceError, ""


_Answer = TypeVar("_Answer", bound="Mapping[str, Any]")

_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "double": (int, float),
    "float": (int, float),
    "integer": int,
    "list": list,
    "long": int,
    "map": dict,
    "string": str,
    "structure": dict,
    "timestamp": datetime,
}
_MOST_PAGES = 1000


def readable(client: Any, operation: str, answer: _Answer, *required: str) -> _Answer:
    """Return the response, if its fields have the types of the service's model; call it within `answer_read`.

    Args:
        client: The client that returned the response.
        operation: The API's name for the call.
        answer: The response.
        required: Fields that the response must have.

    Raises:
        ValueError: It doesn't match; the message says where, without quoting values.
    """
    if not isinstance(answer, dict):
        raise ValueError(f"it is {_kind(answer)}, not an object")  # noqa: TRY004  # handled like the other errors
    missing = [name for name in required if answer.get(name) in (None, "")]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}{_media_type(answer)}")
    shape = _output_shape(client, operation)
    fault = None if shape is None else next(_faults(shape, answer, ""), None)
    if fault is not None:
        raise ValueError(fault)
    return answer


class LargeObjectError(ValueError):
    """An object is larger than the limit for reading it."""

    def __init__(self, uri: str, size: int, max_bytes: int) -> None:
        self.size = size
        super().__init__(f"{uri} has {size:,} bytes, and {max_bytes:,} are read at most")


def content_of(client: S3Client, answer: GetObjectOutputTypeDef, uri: str, *, max_bytes: int) -> bytes:
    """Return the whole content of the object that GetObject answered with, and close its connection in any case.

    Raises:
        ServiceError: The response is unreadable, or S3 closed the connection early.
        LargeObjectError: The object has more than `max_bytes`.
    """
    from urllib3.exceptions import HTTPError

    with answer["Body"] as body:
        with answer_read("GetObject", uri):
            readable(client, "GetObject", answer, "ContentLength", "ETag")  # a proxy's page has no ETag
        size = answer["ContentLength"]
        if size > max_bytes:
            raise LargeObjectError(uri, size, max_bytes)
        with aws_call("GetObject", uri):
            try:
                content: bytes = body.read()  # with an argument, neither botocore nor urllib3 checks the length
            except HTTPError as error:  # botocore doesn't translate it when content is read
                message = f"GetObject for {uri} was interrupted: {error}. It may work later."
                raise TransientError(message, operation="GetObject", code=type(error).__name__) from error
    return content


def summaries(client: Any, answer: Mapping[str, Any]) -> list[Any]:
    """Return the jobs in a response of ListProcessingJobs; each has its name and its status.

    Raises:
        ValueError: As in `readable`.
    """
    jobs: list[Any] = readable(client, "ListProcessingJobs", answer, "ProcessingJobSummaries")["ProcessingJobSummaries"]
    if not all(job.get("ProcessingJobName") and job.get("ProcessingJobStatus") for job in jobs):
        raise ValueError("one of its jobs has no ProcessingJobName or no ProcessingJobStatus")
    return jobs


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a time with its zone; a time without one is in UTC, as all of the service's times are."""
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def new_token(token: str | None, seen: set[str]) -> str | None:
    """Return the token of a listing's next page, and add it to `seen`; None at the end of the listing.

    Raises:
        ValueError: The token has been seen, so that the listing would never end.
    """
    if not token:
        return None
    if token in seen or len(seen) >= _MOST_PAGES:
        raise ValueError("its token for the next page leads back to a page that was read, or the pages don't end")
    seen.add(token)
    return token


def _output_shape(client: Any, operation: str) -> Shape | None:
    model = getattr(getattr(client, "meta", None), "service_model", None)  # a stand-in for a client may have none
    if model is None:
        return None
    shape: Shape | None = model.operation_model(operation).output_shape
    return shape


def _faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    expected = _TYPES.get(shape.type_name)
    if expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        yield f"{where or 'it'} is {_kind(value)}, not {_kind_of_shape(shape)}"
    elif isinstance(value, dict):
        for name, item in value.items():
            member = _member(shape, name)
            if member is not None:
                yield from _faults(member, item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _faults(shape.member, item, f"{where}[{position}]")  # type: ignore[attr-defined]  # a list's shape


def _member(shape: Any, name: str) -> Shape | None:
    member: Shape | None = shape.value if shape.type_name == "map" else shape.members.get(name)
    return member


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _kind_of_shape(shape: Shape) -> str:
    return {"structure": "an object", "list": "a list", "map": "an object"}.get(shape.type_name, shape.type_name)


def _media_type(answer: Mapping[str, Any]) -> str:
    """Return a remark on the response's content type if it isn't JSON, which may show that it is a proxy's page."""
    metadata = answer.get("ResponseMetadata")
    media_type = metadata.get("HTTPHeaders", {}).get("content-type", "") if isinstance(metadata, dict) else ""
    return f" (its content-type is {media_type})" if media_type and "json" not in media_type else ""


_T = TypeVar("_T")
_SOON = wait_random(0.5, 5.0)
_MOST_DOUBLINGS = 30


def jittered(seconds: float, *, low: float = 0.9, high: float = 1.1) -> float:
    """Return about that many seconds, so that many waiting processes don't all call at the same time."""
    return seconds * random.uniform(low, high)  # noqa: S311  # no secret


def backoff(failures: int, *, first: float, longest: float, shortest: float = 0.0) -> float:
    """Return the seconds to wait after a failure: full jitter up to a bound that doubles with each failure.

    Args:
        failures: The number of failures before the last one.
        first: The bound after the first failure, in seconds.
        longest: The maximum of the bound, in seconds.
        shortest: The minimum time to wait, in seconds.
    """
    return random.uniform(shortest, min(first * 2.0 ** min(failures, _MOST_DOUBLINGS), longest))  # noqa: S311  # no secret


class RetryBudget:
    """The time for which transient errors are retried; it runs from the first error until a success."""

    def __init__(self, bound: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bound = bound
        self._clock = clock
        self._since: float | None = None

    def spend(self, error: TransientError | UploadError) -> None:
        """Log the error, or raise it if the time is up."""
        if self._is_spent(error):
            raise error

    def __call__(self, state: RetryCallState) -> bool:
        """Return whether to stop retrying, for tenacity."""
        return self._is_spent(error_of(state))

    def _is_spent(self, error: BaseException | None) -> bool:
        if self._bound <= 0:
            return True
        now = self._clock()
        if self._since is None:
            self._since = now
            log.warning("%s Retrying for up to %.0f s.", error, self._bound)
        return now - self._since >= self._bound

    def reset(self) -> None:
        """Start over after a success."""
        if self._since is not None:
            log.info("The service answers again after %.0f s.", self._clock() - self._since)
        self._since = None


def error_of(state: RetryCallState) -> BaseException | None:
    """Return the exception of the last try."""
    return None if state.outcome is None else state.outcome.exception()


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    return isinstance(error, TransientError)


def retrying(
    stop: Callable[[RetryCallState], bool],
    *,
    retry_if: Callable[[BaseException], bool] = is_transient,
    longest_pause: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Retrying:
    """Return tenacity's retry loop for calls to AWS, which finally raises the last error itself.

    Args:
        stop: Returns whether to give up, as a `RetryBudget` does.
        retry_if: Returns whether an error is retried.
        longest_pause: The longest pause, in seconds: pauses have full jitter, with a bound that doubles from one
            second. If None, each pause takes between half a second and five.
        sleep: Waits for a number of seconds; its exceptions end the loop.
    """
    wait = _SOON if longest_pause is None else wait_random_exponential(multiplier=1, max=longest_pause)
    return Retrying(retry=retry_if_exception(retry_if), stop=stop, wait=wait, sleep=sleep, reraise=True)


def retry(call: Callable[[], _T], *, max_seconds: float, sleep: Callable[[float], None] = time.sleep) -> _T:
    """Return a call's result, retrying it on transient errors.

    Raises:
        TransientError: The errors lasted longer than `max_seconds`.
    """
    budget = RetryBudget(max_seconds)
    answer = retrying(budget, sleep=sleep)(call)
    budget.reset()
    return answer


async def retry_async(
    call: Callable[[], Awaitable[_T]],
    stop: Callable[[RetryCallState], bool],
    *,
    wait: wait_base | Callable[[RetryCallState], float] | None = None,
) -> _T:
    """Return a coroutine's result, retrying the call on transient errors until `stop` returns true.

    Args:
        call: Makes the call.
        stop: Returns whether to give up, as a `RetryBudget` does.
        wait: Returns the seconds until the next call, as tenacity's functions do; up to two, with full jitter, if None.

    Raises:
        TransientError: The last error, when it is time to give up.
    """
    tries = AsyncRetrying(
        retry=retry_if_exception(is_transient),
        stop=stop,
        wait=wait_random(0, 2) if wait is None else wait,
        sleep=asyncio.sleep,
        reraise=True,
    )

    async def attempt() -> _T:  # tenacity only awaits coroutine functions
        return await call()

    return await tries(attempt)
