"""What of a record goes to the browser: known fields of their types, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.ui import hostile
from airflow_sm_processing.ui.hostile import MalformedError, console_link, dictionary, number, parsed, text, whole
from airflow_sm_processing.xcoms import LINK_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["shown_details", "shown_record"]

_MOST_CHARACTERS = 4000  # of a text in a record; SageMaker's messages have a quarter of it


def _brief(value: Any) -> str | None:
    return text(value, _MOST_CHARACTERS)


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "job_name": _brief,
    "job_arn": _brief,
    "region": _brief,
    "status": _brief,
    "submitted_at": hostile.times_as_shown,
    "created_at": hostile.times_as_shown,
    "started_at": hostile.times_as_shown,
    "ended_at": hostile.times_as_shown,
    "duration_seconds": number,
    "instance_seconds": number,
    "instance_type": _brief,
    "instance_count": whole,
    "image_uri": _brief,
    "exit_message": _brief,
    "failure_reason": _brief,
    "try_number": whole,
    "aws_conn_id": _brief,
}
_PLACE_FIELDS: dict[str, Callable[[Any], Any]] = {
    "name": text,
    "uri": text,
    "container_path": text,
    "link": console_link,
    "bytes": whole,
    "objects": whole,
}
_MOST_ITEMS = 100  # of one list; SageMaker takes ten inputs, and records have the log of ten hosts
_MOST_LINES = 1000
_MOST_RECORD_BYTES = 16_384  # of one job in an answer; what tasks record has a quarter of it
_MOST_SHORT_CHARACTERS = 100  # more than a job's name has
_TOO_LARGE = "This job's record is too large to be shown whole."


def shown_record(content: str) -> dict[str, Any]:
    """Give a record's fields.

    Raises:
        MalformedError: It isn't JSON.
    """
    record = dictionary(parsed(content))
    links = dictionary(record.get("links"))
    shown = {
        **{name: read(record.get(name)) for name, read in _FIELDS.items()},
        "instance_preferences": [item for item in _items(record, "instance_preferences") if isinstance(item, str)],
        "links": {name: links[name] for name in LINK_KEYS if console_link(links.get(name))},
        "awaited": record.get("awaited") is not False,
        "stop_on_kill": record.get("stop_on_kill") is not False,
    }
    return shown if len(json.dumps(shown)) <= _MOST_RECORD_BYTES else _shortened(shown)


def _shortened(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what makes it large: hundreds of them are one answer, and they may be anybody's."""
    short = {
        name: value[:_MOST_SHORT_CHARACTERS] if isinstance(value, str) else value for name, value in record.items()
    }
    return {**short, "instance_preferences": [], "links": {}, "failure_reason": _TOO_LARGE}


def shown_details(content: str) -> dict[str, Any]:
    """Give the fields of a record's details.

    Raises:
        MalformedError: They aren't JSON.
    """
    details = dictionary(parsed(content))
    if not isinstance(name := details.get("job_name"), str):
        raise MalformedError("details have a job_name")
    return {
        "job_name": name,
        "request": dictionary(details.get("request")) or None,
        "inputs": [_place(dictionary(item)) for item in _items(details, "inputs")],
        "outputs": [_place(dictionary(item)) for item in _items(details, "outputs")],
        "log_tail": [_tail(dictionary(item)) for item in _items(details, "log_tail")],
    }


def _items(value: dict[str, Any], name: str) -> list[Any]:
    items = value.get(name)
    return items[:_MOST_ITEMS] if isinstance(items, list) else []


def _place(item: dict[str, Any]) -> dict[str, Any]:
    fields = {name: read(item.get(name)) for name, read in _PLACE_FIELDS.items()}
    return {**fields, "complete": item.get("complete") is True}


def _tail(item: dict[str, Any]) -> dict[str, Any]:
    lines = item.get("lines")
    texts = [line for line in map(text, lines[-_MOST_LINES:]) if line is not None] if isinstance(lines, list) else []
    return {"host": text(item.get("host")), "lines": texts}
