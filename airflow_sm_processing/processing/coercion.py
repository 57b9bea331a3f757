"""The one rule for what users may write where a request has a string, a list, a dict, a number or a truth value.

The SDK-like classes and Airflow's operators read by it alike: strings may be numbers, truth values or paths, and a list
or dict may be JSON text, which is what a template makes of a Variable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from numbers import Integral, Number
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import LATE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NATIVE_NUMBER_RULE",
    "TRUTHS",
    "NativeFloat",
    "NativeInt",
    "ValueReader",
    "as_text",
    "from_json",
    "rule_of_structure",
]

TRUTHS = {"true": True, "false": False}
"""Truth values by their text in lower case: Python's and JSON's spelling alike."""

NATIVE_NUMBER_RULE = (
    "was text of which a native DAG made a number that is written otherwise: to keep the text, write {{ … | tojson }}, "
    "or quotes around all of it as in \"'{{ … }}'\"; for the number, {{ … | float }} or {{ … | int }}"
)
"""What is said of a `NativeInt` or `NativeFloat` where its text could have been meant."""


class NativeInt(int):
    """A number that a native template made of text which Python writes in another way, such as `1_0`."""

    written: str
    """The text that the template was rendered to."""


class NativeFloat(float):
    """The same of a number such as `1.10`."""

    written: str


class _JsonInt(int):
    """A number of a JSON text that Python writes otherwise: `-0`."""

    written: str


class _JsonFloat(float):
    """A number of a JSON text, which says how it is written where a string is wanted."""

    written: str


def as_text(value: object) -> str:
    """Return the string that a request has for a value.

    Truth values and numbers are written as Python's `str` writes them, and so as templates and the SDK's tags are:
    `True`, `10`, `0.1`, `1e-05`; a number of a JSON text as it stands there.

    Raises:
        ValueError: It is nothing that has a string; the text is the rule that it breaks.
    """
    if isinstance(value, str):
        return str.__str__(value)  # not the subclass's own: an enum's name, a template's Markup
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (NativeInt, NativeFloat)):
        raise ValueError(NATIVE_NUMBER_RULE)  # noqa: TRY004  # it is its text that is wrong
    if isinstance(value, (_JsonFloat, _JsonInt)):
        return value.written
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Number) and not isinstance(value, complex):
        return str(int(value) if isinstance(value, Integral) else value)
    if value is None:
        raise ValueError("is None, which has no text: leave it out")
    raise ValueError(f"must be a string, a number, a boolean or a path, not {_kind_of(value)}")


def from_json(text: str) -> Any:
    """Return what a JSON text says; its numbers know how they were written.

    Raises:
        ValueError: It isn't JSON, or a dict in it has a key twice.
    """
    return json.loads(
        text, parse_float=_json_float, parse_int=_json_int, parse_constant=_json_float, object_pairs_hook=_unique
    )


def rule_of_structure(value: object, wanted: str) -> str:
    """Return what to say of a value that is no list or dict where one is `wanted`."""
    rule = f"must be a {wanted}"
    if not isinstance(value, str):
        return rule
    rule += ", or the JSON of one"
    if value.lstrip()[:1] not in {"{", "[", "("}:
        return rule
    try:
        json.loads(value)
    except (ValueError, RecursionError) as error:
        if _is_repr(value):
            return f"{rule}; this is Python's own text of one: write {{{{ … | tojson }}}}"
        return f"{rule}; this is no JSON: {getattr(error, 'msg', 'it is nested too deeply')}"
    return rule


class ValueReader:
    """Reads values, and collects what is wrong with them; what only a run knows passes through."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def text(self, path: str, value: Any, *, secret: bool = False) -> Any:
        """Return a value's string; the value itself if it has none, which is noted."""
        if value is LATE:
            return value
        try:
            return as_text(value)
        except ValueError as error:
            shown = getattr(value, "written", value)
            self.problems.append(Problem(path, hidden(shown) if secret else shown, str(error)))
            return LATE

    def optional_text(self, path: str, value: Any) -> Any:
        """Return a value's string, or None for None."""
        return None if value is None else self.text(path, value)

    def texts(self, path: str, value: Any) -> Any:
        """Return a list of strings."""
        return [self.text(f"{path}[{index}]", item) for index, item in enumerate(self.structure(path, value, "list"))]

    def text_map(self, path: str, value: Any, *, secret: bool = False) -> dict[str, Any]:
        """Return a dict whose values are strings."""
        items = self.structure(path, value, "dict", secret=secret)
        named = ((self.text(path, key), f"{path}[{key!r}]", item) for key, item in items.items())
        return {name: self.text(place, item, secret=secret) for name, place, item in named}

    def structure(self, path: str, value: Any, wanted: str, *, secret: bool = False) -> Any:
        """Return a list or a dict, as `wanted` says, that may be given as JSON, as a tuple or as something like it."""
        if isinstance(value, str):
            value = self._parsed(path, value, secret=secret)
        for name, copied in _COPIES.items():
            if name in wanted and (plain := copied(value)) is not None:
                return plain
        if value is not LATE:
            shown = hidden(value) if secret else value
            self.problems.append(Problem(path, shown, rule_of_structure(value, wanted)))
        return [] if wanted == "list" else {}

    def whole_number(self, path: str, value: Any) -> Any:
        """Return a number that a template may have written as a string; LATE if it is none."""
        if isinstance(value, (str, NativeInt)):
            try:
                return int(value)
            except ValueError:
                self.problems.append(Problem(path, value, "must be a whole number"))
                return LATE
        return value

    def boolean(self, path: str, value: Any) -> Any:
        """Return a truth value that a template may have written as a string."""
        if isinstance(value, str):
            if value.lower() not in TRUTHS:
                self.problems.append(Problem(path, value, "must be true or false"))
            return TRUTHS.get(value.lower())
        return value

    def _parsed(self, path: str, text: str, *, secret: bool) -> Any:
        try:
            return from_json(text)
        except _RepeatedKeyError as error:
            self.problems.append(Problem(path, hidden(text) if secret else text, str(error)))
            return LATE
        except (ValueError, RecursionError):
            return text  # which is refused as it is


class _RepeatedKeyError(ValueError):
    """A dict of a JSON text has a key twice, and would lose a value."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _RepeatedKeyError(f"has the key {twice!r} more than once")
    return plain


def _json_float(text: str) -> _JsonFloat:
    number = _JsonFloat(text)
    number.written = text
    return number


def _json_int(text: str) -> int:
    number = int(text)
    if str(number) == text:
        return number
    number = _JsonInt(number)
    number.written = text
    return number


def _list_like(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)) else None


def _dict_like(value: Any) -> dict[Any, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


_COPIES: dict[str, Callable[[Any], Any]] = {"dict": _dict_like, "list": _list_like}


def _kind_of(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_repr(text: str) -> bool:
    import ast  # only for what is wrong anyway

    try:
        return isinstance(ast.literal_eval(text.strip()), (dict, list, tuple, set))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.lstrip()[:2] in {"{'", "['"}  # the repr of what has no literal, such as a date
