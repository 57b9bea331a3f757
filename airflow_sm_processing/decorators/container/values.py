"""Encode values as JSON, and decode exactly the same values.

Values that JSON can't represent are written as `{"$": kind, "value": …}`. Decoding never runs code.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KIND", "VALUE", "EncodeError", "decode", "encode"]

KIND = "$"
VALUE = "value"
_NOTHING: Mapping[str, Callable[[Any], Any]] = {}
_STRUCTURES: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


class EncodeError(TypeError):
    """A value can't be encoded; `where` it is, such as `options['sizes'][0]`, and the `rule` it breaks."""

    def __init__(self, where: str, rule: str) -> None:
        self.where = where
        self.rule = rule
        super().__init__(f"{where} {rule}")


def encode(
    value: Any,
    where: str,
    special: Callable[[Any], Any] = lambda _: None,
    refuse: Callable[[Any], Any] = lambda _: None,
) -> Any:
    """Return a value as what `json.dumps` takes.

    Args:
        value: Of the kinds that JSON has; a tuple, set, frozenset, bytes, datetime, date, time, timedelta, Decimal or
            UUID; or a dict with any such keys. Other sequences and mappings become lists and dicts.
        where: How an error refers to the value; it never quotes the value itself.
        special: Returns what to write for a value of another kind; None if it doesn't know the kind.
        refuse: Called with every value and key; returns the rule that it breaks, or None.

    Raises:
        EncodeError: Something in it can't be encoded.
    """
    try:
        return _Encoder(special, refuse).encode(value, where)
    except RecursionError:
        raise EncodeError(where, "holds itself, or is nested too deeply") from None


class _Encoder:
    def __init__(self, special: Callable[[Any], Any], refuse: Callable[[Any], Any]) -> None:
        self._special = special
        self._refuse = refuse

    def encode(self, value: Any, where: str) -> Any:
        rule = self._refuse(value)
        if rule is not None:
            raise EncodeError(where, rule)
        own = self._special(value)
        if own is not None:
            return own
        if isinstance(value, enum.Enum):
            raise EncodeError(where, f"is a member of the enum {type(value).__name__}: pass its .value")
        for kind in (str, bool, int, float):
            if isinstance(value, kind):
                return kind(value)
        return None if value is None else self._tagged_or_structure(value, where)

    def _tagged_or_structure(self, value: Any, where: str) -> Any:
        for kind, (cls, write, _) in _KINDS.items():
            if isinstance(value, cls):
                return {KIND: kind, VALUE: write(value)}
        if isinstance(value, Mapping):
            return self._mapping(value, where)
        if isinstance(value, (set, frozenset)):
            items = [self.encode(item, where + "{…}") for item in value]
            kind = "set" if isinstance(value, set) else "frozenset"
            return {KIND: kind, VALUE: sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
        if isinstance(value, Sequence):
            items = [self.encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return {KIND: "tuple", VALUE: items} if isinstance(value, tuple) else items
        name = "{0.__module__}.{0.__qualname__}".format(type(value))
        raise EncodeError(where, f"is of type {name}, which can't be carried")

    def _mapping(self, value: Mapping[Any, Any], where: str) -> Any:
        pairs = [
            (self.encode(key, where + " (a key)"), self.encode(item, f"{where}[{key!r}]"))
            for key, item in value.items()
        ]
        if KIND not in value and all(isinstance(key, str) for key in value):
            return dict(pairs)
        return {KIND: "dict", VALUE: pairs}


def decode(plain: Any, special: Mapping[str, Callable[[Any], Any]] = _NOTHING) -> Any:
    """Return the value that `encode` wrote; `special` reads the kinds that `encode`'s `special` wrote.

    Raises:
        ValueError: Its kind isn't known: something else than `encode` wrote it.
    """
    if isinstance(plain, list):
        return [decode(item, special) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if KIND not in plain:
        return {key: decode(item, special) for key, item in plain.items()}
    kind, value = plain[KIND], plain[VALUE]
    if kind in special:
        return special[kind](value)
    return _KINDS[kind][2](value) if kind in _KINDS else _structure(kind, value, special)


def _structure(kind: str, value: Any, special: Mapping[str, Callable[[Any], Any]]) -> Any:
    if kind == "dict":
        return {decode(key, special): decode(item, special) for key, item in value}
    if kind not in _STRUCTURES:
        raise ValueError(f"{kind!r} is no kind of value that is carried")
    return _STRUCTURES[kind](decode(value, special))


def _parts(value: dt.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


# The order matters: a datetime is also a date.
_KINDS: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": (dt.datetime, dt.datetime.isoformat, dt.datetime.fromisoformat),
    "date": (dt.date, dt.date.isoformat, dt.date.fromisoformat),
    "time": (dt.time, dt.time.isoformat, dt.time.fromisoformat),
    "timedelta": (dt.timedelta, _parts, lambda parts: dt.timedelta(*parts)),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "bytes": ((bytes, bytearray), lambda value: base64.b64encode(value).decode(), base64.b64decode),
}
