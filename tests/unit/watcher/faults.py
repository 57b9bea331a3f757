"""What fails in an account, and when."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from botocore.exceptions import EndpointConnectionError

from .account import refusal

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

    from .account import Fault


def denied(operation: str) -> ClientError:
    return refusal("AccessDeniedException", f"not authorized to perform: sagemaker:{operation}", operation)


def server_error(operation: str) -> ClientError:
    return refusal("InternalFailure", "The server is sorry", operation, 500)


def unreachable() -> EndpointConnectionError:
    return EndpointConnectionError(endpoint_url="https://api.sagemaker.eu-west-1.amazonaws.com/")


def during(first: float, last: float, error: Exception) -> Fault:
    """Every call between two moments."""
    return lambda *_: error if first <= asyncio.get_running_loop().time() < last else None


def on(operation: str, error: Exception, *, job_name: str | None = None, until: float = math.inf) -> Fault:
    """An operation, for all jobs or for one."""
    return lambda called, request: (
        error
        if called == operation
        and job_name in {None, request.get("ProcessingJobName")}
        and asyncio.get_running_loop().time() < until
        else None
    )
