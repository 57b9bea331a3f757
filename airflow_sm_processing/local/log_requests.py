"""Requests to CloudWatch Logs, where moto doesn't take them as CloudWatch does."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.model import OperationNotFoundError

from airflow_sm_processing.local import moto_app, shapes, signature
from airflow_sm_processing.local.clients import core_session
from airflow_sm_processing.local.errors import ServiceError

if TYPE_CHECKING:
    from botocore.model import Shape

    from airflow_sm_processing.local.signature import Caller

# moto takes no names for all names. A colon is in no stream's name.
_NO_STREAM = ":"


def check(operation: str, request: dict[str, Any]) -> None:
    """Check a request against the service's model, since moto takes its types for granted.

    Raises:
        ServiceError: UnknownOperationException, SerializationException or InvalidParameterException.
    """
    try:
        shapes.check(request, _input_shape(operation))
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
    assert shape is not None  # noqa: S101  # each of its operations takes something
    return shape


def repair_filter(request: moto_app.Request, caller: Caller, asked: dict[str, Any]) -> None:
    """Rewrite a FilterLogEvents request into one that moto answers as CloudWatch would.

    moto 5.2 ignores `logStreamNamePrefix`, and without `interleaved` orders events by stream: a page token then skips
    what earlier streams get later. CloudWatch interleaves always:
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    asked = {**asked, "interleaved": True}
    if prefix := asked.pop("logStreamNamePrefix", None):
        groups = moto_app.backend("logs", caller.key.account_id, caller.region).groups
        group = groups.get(asked.get("logGroupName"))
        streams = list(group.streams) if group else []
        asked["logStreamNames"] = [name for name in streams if name.startswith(prefix)] or [_NO_STREAM]
    signature.replace_body(request, json.dumps(asked).encode())
