"""What of a record goes to the browser: known fields of their types, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.ui import hostile
from airflow_sm_processing.ui.hostile import MalformedError, dictionary, link, number, parsed, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["shown_details", "shown_record"]

_FIELDS: dict[str, Callable[[Any], Any]] = {
    "job_name": text,
    "job_arn": text,
    "region": text,
    "status": text,
    "submitted_at": hostile.times_as_shown,
    "created_at": hostile.times_as_shown,
    "started_at": hostile.times_as_shown,
    "ended_at": hostile.times_as_shown,
    "duration_seconds": number,
    "instance_seconds": number,
    "instance_type": text,
    "instance_count": whole,
    "image_uri": text,
    "exit_message": text,
    "failure_reason": text,
    "try_number": whole,
    "aws_conn_id": text,
}
_PLACE_FIELDS: dict[str, Callable[[Any], Any]] = {
    "name": text,
    "uri": text,
    "container_path": text,
    "link": link,
    "bytes": whole,
    "objects": whole,
}
_MOST_ITEMS = 100  # of one list; SageMaker takes ten inputs, and records have the log of ten hosts
_MOST_LINES = 1000


def shown_record(content: str) -> dict[str, Any]:
    """Give a record's fields.

    Raises:
        MalformedError: It isn't JSON.
    """
    record = dictionary(parsed(content))
    return {
        **{name: read(record.get(name)) for name, read in _FIELDS.items()},
        "instance_preferences": [item for item in _items(record, "instance_preferences") if isinstance(item, str)],
        "links": {str(name): url for name, url in dictionary(record.get("links")).items() if link(url)},
        "awaited": record.get("awaited") is not False,
        "stop_on_kill": record.get("stop_on_kill") is not False,
    }


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
