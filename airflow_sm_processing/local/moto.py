"""moto's S3, STS, IAM and CloudWatch Logs, called in this process, with stricter checks of Logs requests."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import ClientError
from botocore.model import OperationNotFoundError
from moto import backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request as MotoRequest
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from airflow_sm_processing.local import auth, validation
from airflow_sm_processing.local.auth import core_session
from airflow_sm_processing.local.validation import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

    from airflow_sm_processing.local.auth import Caller


# moto takes an empty list of names for all names. A colon can't be in a stream's name.
_NO_STREAM = ":"


def check(operation: str, request: dict[str, Any]) -> None:
    """Check a request against the service's model, since moto doesn't check types.

    Raises:
        ServiceError: UnknownOperationException, SerializationException or InvalidParameterException.
    """
    try:
        validation.check_shape(request, _input_shape(operation))
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        raise ServiceError("InvalidParameterException", error.message) from error


@cache
def _input_shape(operation: str) -> Shape:
    try:
        shape = core_session().get_service_model("logs").operation_model(operation).input_shape
    except OperationNotFoundError as error:
        raise ServiceError("UnknownOperationException", f"CloudWatch Logs has no {operation!r}.") from error
    assert shape is not None  # noqa: S101  # each of its operations has an input
    return shape


def repair_filter(request: Request, caller: Caller, asked: dict[str, Any]) -> None:
    """Rewrite a FilterLogEvents request so that moto answers it as CloudWatch would.

    moto 5.2 ignores `logStreamNamePrefix`, and without `interleaved` it orders events by stream: a page token then
    skips events that are added to earlier streams. CloudWatch always interleaves:
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    asked = {**asked, "interleaved": True}
    if prefix := asked.pop("logStreamNamePrefix", None):
        groups = backend("logs", caller.key.account_id, caller.region).groups
        group = groups.get(asked.get("logGroupName"))
        streams = list(group.streams) if group else []
        asked["logStreamNames"] = [name for name in streams if name.startswith(prefix)] or [_NO_STREAM]
    auth.replace_body(request, json.dumps(asked).encode())


# moto switches CORS on for everybody unless this is set before its first import.
os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "1")

SERVICES = ("iam", "logs", "s3", "sagemaker", "sts")
DEFAULT_REGION = "us-east-1"
_tenants: list[None] = []
_tenants_lock = threading.Lock()
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_log = logging.getLogger(__name__)
_REGIONLESS = frozenset({"iam", "s3", "sts"})


class Request(MotoRequest):
    """A request in the form that moto's handlers take: werkzeug's, with the raw path."""

    from_wsgi_server = True


def backend(service: str, account_id: str, region: str) -> Any:
    """Return moto's state of a service; S3, STS and IAM have one per partition."""
    by_region = backends.get_backend(service)[account_id]  # type: ignore[call-overload]
    return by_region["aws" if service in _REGIONLESS else region]


def answer(request: Request, caller: Caller) -> Response:
    """Return moto's response.

    Raises:
        ServiceError: moto has no handler for the path, or can't read the request.
    """
    request.environ["HTTP_X_MOTO_ACCOUNT_ID"] = caller.key.account_id
    for pattern, handler in _handlers(caller.service):
        if pattern.match(request.raw_path):
            return _respond(request, handler)
    raise ServiceError("UnknownOperationException", f"Nothing answers {request.method} {request.raw_path}.", status=404)


@cache
def _handlers(service: str) -> list[tuple[re.Pattern[str], Any]]:
    """Return moto's handlers by path; cached, since moto reloads a module each time."""
    state = backend(service, DEFAULT_ACCOUNT_ID, DEFAULT_REGION)
    return [(re.compile(pattern), handler) for pattern, handler in state.url_paths.items()]


def _respond(request: Request, handler: Any) -> Response:
    try:
        status, headers, content = handler(request, request.raw_url, request.headers)
    except HTTPException as error:
        return Response(error.get_body(), error.code, error.get_headers())
    except ClientError as error:
        return Response(error.response["Error"]["Message"], 400)
    except NotImplementedError as error:
        raise ServiceError("UnknownOperationException", f"moto has no such operation: {error}", status=404) from error
    except Exception as error:
        raise _unreadable(request, error) from error
    response = Response(content, status, headers)
    if request.method == "HEAD" and "content-length" in headers:
        response.headers["Content-Length"] = headers["content-length"]
    return response


def _unreadable(request: Request, error: Exception) -> ServiceError:
    """Return the error for an exception in moto, which assumes valid requests and a disk that is never full."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        message = f"The local SageMaker can't keep this: {error.strerror}. Make room on its disk."
        return ServiceError("InsufficientStorage", message)
    _log.warning("moto can't answer %s %s: %r", request.method, request.path, error)
    _log.debug("moto's traceback", exc_info=error)
    message = f"The request isn't understood (moto says {type(error).__name__}: {error})."
    return ServiceError("InvalidRequest", message)


@cache
def regions(service: str) -> frozenset[str]:
    """Return the regions in which moto has a service."""
    return frozenset(backends.get_backend(service)[DEFAULT_ACCOUNT_ID].regions)  # type: ignore[call-overload]


def operation(request: Request, caller: Caller) -> str:
    """Return the name of the operation that a request asks for."""
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if caller.service == "s3":
        return _s3_operation(request)
    return request.form.get("Action") or request.args.get("Action", "")


def _s3_operation(request: Request) -> str:
    from moto.core.routing import get_service_router

    try:
        matched, _ = get_service_router("s3").match(request)
    except (HTTPException, NotImplementedError):
        return ""  # not an operation of S3: moto reports that when it answers
    return str(matched.name)


def check_bucket_owner(request: Request, caller: Caller) -> None:
    """Deny access to other accounts' buckets, and to a bucket that doesn't belong to the expected owner.

    Raises:
        ServiceError: AccessDenied. moto itself lets every account into every bucket.
    """
    bucket, _, key = unquote(request.raw_path).lstrip("/").partition("/")
    source = unquote(request.headers.get("x-amz-copy-source", "")).lstrip("/").partition("/")[0]
    creates = request.method == "PUT" and not key and not request.query_string
    if not creates:
        _check_owner(bucket, caller, request.headers.get("x-amz-expected-bucket-owner"))
    _check_owner(source, caller, request.headers.get("x-amz-source-expected-bucket-owner"))


def _check_owner(bucket: str, caller: Caller, expected: str | None) -> None:
    owner = bucket_owner(bucket)
    if owner is not None and {owner} != {caller.key.account_id, expected or owner}:
        raise ServiceError("AccessDenied", "Access Denied", status=403)


def bucket_owner(bucket: str) -> str | None:
    """Return the account id that owns a bucket, or None if there is no such bucket."""
    from moto.s3.models import s3_backends

    found = s3_backends.bucket_accounts.get(bucket)
    return str(found[1]) if found else None


@contextmanager
def tenancy() -> Iterator[None]:
    """Keep moto's state until the block ends; the last such block in the process drops it, including its files."""
    with _tenants_lock:
        _tenants.append(None)
    try:
        yield
    finally:
        with _tenants_lock:
            _tenants.pop()
            if not _tenants:
                _forget()


def _forget() -> None:
    for service in SERVICES:
        for by_region in backends.get_backend(service).values():  # type: ignore[call-overload]
            for state in by_region.values():
                state.reset()
