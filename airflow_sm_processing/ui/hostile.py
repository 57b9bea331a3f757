"""Reading JSON that anybody may have written: what isn't as it should be is an error here, and never later."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from typing import Any

from airflow_sm_processing.processing.s3_uris import CONSOLE_HOSTS

__all__ = [
    "YEARS",
    "MalformedError",
    "console_link",
    "dictionary",
    "loaded",
    "number",
    "parsed",
    "text",
    "time",
    "times_as_shown",
    "whole",
]

_MOST_LEVELS = 50
_MOST_CHARACTERS = 20_000  # of one text; SageMaker's longest are a tenth of it
_LONGEST_ADDRESS = 4096
_ADDRESS = re.compile(
    r"https://[a-z0-9.-]+/[\x21-\x5b\x5d-\x7e]*"
)  # no user, port, backslash, space or control character
_LARGEST = 1e15  # of numbers; the sum of all records is a finite one, too
YEARS = range(2000, 2200)
"""Of times that are reckoned with: a calendar's ends are far enough away."""


class MalformedError(ValueError):
    """A value isn't what it should be."""


def loaded(content: str) -> Any:
    """Parse JSON; a text in JSON, as `XComModel.set` leaves it, is parsed again.

    Raises:
        MalformedError: It isn't JSON.
    """
    try:
        value = _DECODER.decode(content)
        return _DECODER.decode(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from error


def parsed(content: str) -> Any:
    """Do what `loaded` does, for what goes on to a browser: it must not be nested deeper than can be written again."""
    value = loaded(content)
    _check_depth(value, _MOST_LEVELS)
    return value


def _finite(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise MalformedError(f"{written} is no number")
    return value


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _check_depth(value: Any, levels: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if levels == 0:
        raise MalformedError("nested too deep")
    for item in value.values() if isinstance(value, dict) else value:
        _check_depth(item, levels - 1)


def dictionary(value: Any) -> dict[str, Any]:
    """Give a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def text(value: Any, most: int = _MOST_CHARACTERS) -> str | None:
    """Return a text, cut where it is longer than any that SageMaker gives; None for anything else."""
    if not isinstance(value, str):
        return None
    return value if len(value) <= most else f"{value[:most]}…"


def number(value: Any) -> float | None:
    """Give a number that isn't negative, and that sums can be made of; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LARGEST:
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """Give a whole number that isn't negative; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def time(value: Any) -> datetime | None:
    """Give the moment of an ISO 8601 text with its offset, in UTC; None for anything else, and for other centuries."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo is not None and moment.year in YEARS else None


def times_as_shown(value: Any) -> str | None:
    """Give an ISO 8601 text again in one form; None for anything else."""
    moment = time(value)
    return None if moment is None else moment.isoformat()


def console_link(value: Any) -> str | None:
    """Return an address of the AWS console; None for anything else, also for what only looks like one."""
    if not isinstance(value, str) or len(value) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(value):
        return None
    host = value.removeprefix("https://").partition("/")[0]
    return value if any(host == known or host.endswith(f".{known}") for known in CONSOLE_HOSTS) else None
