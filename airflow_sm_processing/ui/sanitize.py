"""Field types for records, which anyone who can write XComs may have forged.

A value that isn't what a task writes becomes None, an empty list or a default; text and lists have a maximum length.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer
from pydantic_core import core_schema

from airflow_sm_processing.processing.models import CONSOLE_HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "OBJECT",
    "YEARS",
    "BriefText",
    "ConsoleUrl",
    "DefaultIfInvalid",
    "IsoTime",
    "LongText",
    "MalformedRecordError",
    "NoneIfInvalid",
    "Number",
    "RecordTime",
    "RequestBody",
    "WholeNumber",
    "decode_json",
    "first_items",
    "last_items",
]

_MAX_DEPTH = 50
_BRIEF_CHARACTERS = 4_000  # SageMaker's longest messages have a quarter of it
_LONG_CHARACTERS = 20_000
_MAX_URL_CHARACTERS = 4_096
_MAX_NUMBER = 1e15  # the sum of 100,000 of them is still finite
YEARS = range(2000, 2200)
"""The years of valid times. Times near the limits of `datetime` would overflow when moved to another time zone."""
_CONSOLE_URL = (
    rf"^https://(?:[a-z0-9.-]*\.)?(?:{'|'.join(re.escape(host) for host in sorted(CONSOLE_HOSTS))})"
    r"/[\x21-\x5b\x5d-\x7e]*$"  # no user, port, backslash, space or control character
)


class MalformedRecordError(ValueError):
    """A record isn't one that a task could have written."""


def decode_json(content: str, *, limit_depth: bool = False) -> Any:
    """Decode JSON, and decode it again if it is a string, which is how `XComModel.set` stores values.

    Args:
        content: The JSON text.
        limit_depth: Whether to reject values that are nested too deeply to be encoded again.

    Raises:
        MalformedRecordError: It isn't JSON, or is nested too deeply.
    """
    try:
        value = _DECODER.decode(content)
        value = _DECODER.decode(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise MalformedRecordError(f"not JSON: {error}") from error
    if limit_depth:
        _check_depth(value, _MAX_DEPTH)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedRecordError(f"{text} is not a finite number")
    return value


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _check_depth(value: Any, levels: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if levels == 0:
        raise MalformedRecordError("nested too deeply")
    for item in value.values() if isinstance(value, dict) else value:
        _check_depth(item, levels - 1)


@dataclass(frozen=True)
class DefaultIfInvalid:
    """Annotation that replaces an invalid value with a default, so that the other fields are still shown.

    A `WrapValidator` could do this, too, but takes twice the time to parse 10,000 records.
    """

    make_default: Callable[[], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the annotated type, with a default for invalid values."""
        schema = handler(source)
        return core_schema.with_default_schema(schema, default_factory=self.make_default, on_error="default")


def first_items(limit: int) -> BeforeValidator:
    """Return a validator that keeps the first items of a list; anything else becomes an empty list."""
    return BeforeValidator(lambda value: value[:limit] if isinstance(value, list) else [])


def last_items(limit: int) -> BeforeValidator:
    """Return a validator that keeps the last items of a list; anything else becomes an empty list."""
    return BeforeValidator(lambda value: value[-limit:] if isinstance(value, list) else [])


def _truncate(limit: int) -> AfterValidator:
    return AfterValidator(lambda text: text if len(text) <= limit else f"{text[:limit]}…")


def _parse_time(value: Any) -> datetime:
    """Parse ISO 8601 with an offset; pydantic itself would accept Unix timestamps, too."""
    time = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
    if not isinstance(time, datetime) or time.tzinfo is None or time.year not in YEARS:
        raise ValueError("not an ISO 8601 time with an offset")
    return time.astimezone(timezone.utc)


def _without_lone_surrogates(value: dict[str, Any]) -> dict[str, Any]:
    """Replace what JSON can escape and UTF-8 can't encode: pydantic couldn't serialize it as a key."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    cleaned: dict[str, Any] = json.loads(text)
    return cleaned


OBJECT = BeforeValidator(lambda value: value if isinstance(value, (dict, BaseModel)) else {})
"""Replaces a value that isn't a JSON object by an empty one."""
NoneIfInvalid = DefaultIfInvalid(lambda: None)

BriefText = Annotated[str, _truncate(_BRIEF_CHARACTERS)]
LongText = Annotated[str, _truncate(_LONG_CHARACTERS)]
Number = Annotated[float, Field(ge=0, le=_MAX_NUMBER)]
WholeNumber = Annotated[int, Field(ge=0)]
ConsoleUrl = Annotated[str, Field(max_length=_MAX_URL_CHARACTERS, pattern=_CONSOLE_URL)]
"""An address of the AWS console, of any partition."""
IsoTime = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str)]
RecordTime = Annotated[IsoTime, BeforeValidator(_parse_time)]
RequestBody = Annotated[dict[str, Any], Field(min_length=1), AfterValidator(_without_lone_surrogates)]
