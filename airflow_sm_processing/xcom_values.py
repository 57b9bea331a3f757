"""Check whether a value can be an XCom: less than JSON, since Airflow's processes, API and databases have limits."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = ["MAX_DEPTH", "XComValueError", "check_xcom_value", "json_bytes", "key_rule"]


MAX_DEPTH = 200
"""The maximum depth of lists and dicts; messages between a task and its supervisor allow about 255 (pydantic-core)."""
_MIN_INTEGER = -(2**63)
_MAX_INTEGER = 2**64 - 1
"""The largest integer in msgpack, which Airflow's tasks and their supervisors use for messages."""
_SHORT_ESCAPES = '\n\r\t\b\f"\\'
_RESERVED_KEYS = frozenset({"__classname__", "__id__", "__type"})
"""Keys by which Airflow recognises its own serialised objects (`airflow.sdk.serde`), including the old form."""
_LONGEST_KEY = 512  # the length of the key's column in Airflow's database
# Airflow's task supervisor puts a key into a URL unescaped: these characters end it, or change the key or task.
_CHANGED_IN_ADDRESS = re.compile(r"[?#\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}|(?:^|/)\.{1,2}(?:/|$)")


class XComValueError(ValueError):
    """A value can't be an XCom: `where` in it the problem is, such as `['loss'][0]`, and the `rule` that it breaks."""

    def __init__(self, where: str, rule: str) -> None:
        self.where = where
        self.rule = rule
        super().__init__(f"{where or 'the value'} {rule}")


class _Place(NamedTuple):
    """A value inside another; its path is built only for an error."""

    value: Any
    key: str
    outer: _Place | None
    depth: int

    def path(self) -> str:
        keys = []
        place: _Place | None = self
        while place is not None:
            keys.append(place.key)
            place = place.outer
        return "".join(reversed(keys))


def check_xcom_value(value: Any, *, other_rule: Callable[[Any], str | None] | None = None) -> None:
    """Check that a value isn't lost, changed or rejected when it is written to an XCom and read back.

    Args:
        value: A value of JSON's types.
        other_rule: Called with each value of another type; returns the rule that it breaks, or None.

    Raises:
        XComValueError: The first problem in the value.
    """
    places = [_Place(value, "", None, 0)]
    while places:
        place = places.pop()
        rule = _rule(place, other_rule)
        if rule is not None:
            raise XComValueError(_shortened(place.path()), rule)
        places.extend(_inside(place))


def json_bytes(value: Any) -> int:
    """Return the size of a value that `check_xcom_value` passed, as JSON in UTF-8.

    If the whole value is a text, quotes and escapes aren't counted, so that a text file's value has the file's size.
    """
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    return size - 2 - sum(map(value.count, _SHORT_ESCAPES)) if isinstance(value, str) else size


def key_rule(key: object) -> str | None:
    """Return the rule that makes a key invalid for an XCom; None if it is valid."""
    if not isinstance(key, str):
        return "must be a string, to be an XCom's key"
    if not 0 < len(key) <= _LONGEST_KEY:
        return f"must have 1 to {_LONGEST_KEY} characters, to be an XCom's key"
    if _text_rule(key) is not None or _CHANGED_IN_ADDRESS.search(key):
        return (
            "can't be an XCom's key, for Airflow makes an address of it: choose one without ?, #, % before two "
            "hexadecimal digits, control characters, and the parts . and .. between slashes"
        )
    return None


def _inside(place: _Place) -> Iterator[_Place]:
    value = place.value
    depth = place.depth + (1 if isinstance(value, (dict, list)) else 2)  # others are wrapped in a dict
    if isinstance(value, dict):
        for key, item in value.items():
            yield _Place(item, f"[{key!r}]", place, depth)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield _Place(item, f"[{index}]", place, depth)
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield _Place(item, "{…}", place, depth)


def _rule(place: _Place, other_rule: Callable[[Any], str | None] | None) -> str | None:
    value = place.value
    if place.depth > MAX_DEPTH:
        return f"is nested more than {MAX_DEPTH} levels deep, which is more than Airflow passes on"
    if isinstance(value, str):
        return _text_rule(value)
    if isinstance(value, (bool, int, float, type(None))):
        return _number_rule(value)
    if isinstance(value, dict):
        return _dict_rule(value)
    if isinstance(value, list):
        return None
    return other_rule(value) if other_rule is not None else f"is of type {type(value).__name__}, which JSON has not"


def _number_rule(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}: JSON and Airflow's databases have no such number"
    if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        return "is an integer of more than 64 bits, which Airflow can't pass on: write it as a string"
    return None


def _text_rule(value: str) -> str | None:
    if "\0" in value:
        return "has the character U+0000, which PostgreSQL can't store"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"has half a character (the lone surrogate U+{ord(value[error.start]):04X}), which UTF-8 can't encode"
    return None


def _dict_rule(value: dict[Any, Any]) -> str | None:
    for key in value:
        if not isinstance(key, str):
            return f"has a key of type {type(key).__name__}: XCom would make it a string"
        rule = _text_rule(key)
        if rule is not None:
            return f"has a key that {rule}"
        if key in _RESERVED_KEYS:
            return f"has the key {key!r}, by which Airflow recognises its own objects"
    return None


_MAX_PATH_CHARACTERS = 200


def _shortened(path: str) -> str:
    """Return a path shortened for a message, since keys may be long and nesting deep."""
    if len(path) <= _MAX_PATH_CHARACTERS:
        return path
    half = _MAX_PATH_CHARACTERS // 2
    return f"{path[:half]}…{path[-half:]}"
