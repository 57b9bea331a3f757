"""Hide a job's secrets: the values of its environment, and the query strings of presigned URLs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from numbers import Number
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_sm_processing.redaction import printable, signed_queries, without_signatures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import TypeAlias

    from airflow_sm_processing.processing.log_events import LogLine

    Mask: TypeAlias = bool | Collection[str]
    """The variables whose values must not be shown: all, none, or those with these names."""

__all__ = ["Hidden", "JobSecrets", "hidden", "secret_forms", "secret_queries"]

_SHORTEST = 5
"""The minimum length of a text that is hidden, as in Airflow's masker: shorter ones occur anywhere by chance."""
_STARS = "***"
_PLAIN_WORDS = frozenset({"true", "false"})
# "Value '{KEY=value}' at 'environment' failed to satisfy constraint", possibly one of several in a row.
_QUOTED_ENVIRONMENT = r"(?s)Value '(?:(?!' at ').)*' at 'environment"


class Hidden:
    """Replaces a value that must not be shown in an error."""

    def __init__(self, what: str) -> None:
        """Set the description to show instead."""
        self.what = what

    def __repr__(self) -> str:
        return f"(hidden, {self.what})"


def hidden(value: object) -> Hidden:
    """Return an object that an error shows in place of a value."""
    return Hidden(f"{len(value)} characters" if isinstance(value, str) else f"a {type(value).__name__}")


class JobSecrets:
    """Hides the known values of one job's environment."""

    def __init__(self, environment: object = None, *, mask: Mask = True, signatures: bool = True) -> None:
        """Set the environment, if it is known; which variables are secret; and whether to shorten presigned URLs."""
        self._mask = mask
        self._signatures = signatures
        self._forms: tuple[str, ...] = ()
        self.learn(environment)

    def __repr__(self) -> str:
        return f"JobSecrets({self._mask!r}, {len(self._forms)} texts)"

    @property
    def forms(self) -> tuple[str, ...]:
        """The texts that are hidden, the longest first."""
        return self._forms

    def learn(self, environment: object) -> None:
        """Hide the values of this environment too."""
        found = {*self._forms, *secret_forms(environment, self._mask)}
        self._forms = tuple(sorted(found, key=lambda form: (-len(form), form)))

    def hide(self, text: str) -> str:
        """Return the text with stars for each value, and presigned URLs without their queries."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, _STARS)
        return without_signatures(text) if self._signatures else text

    def hide_in_line(self, line: LogLine) -> LogLine:
        """Return the line with the secrets in its message hidden."""
        message = self.hide(line.message)
        return line if message == line.message else dataclasses.replace(line, message=message)

    def hide_truncated(self, text: str) -> str:
        """Hide values, also one that is cut off at the end, since SageMaker keeps only the first 1 KB of a text."""
        text = self.hide(text)
        beginnings = (form[:size] for form in self._forms for size in range(len(form) - 1, _SHORTEST - 1, -1))
        cut = next((beginning for beginning in beginnings if text.endswith(beginning)), None)
        return text if cut is None else text[: -len(cut)] + _STARS

    def hide_in_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return CreateProcessingJob's parameters with secrets hidden, and without tags."""
        shown = {key: self._hide_in(value) for key, value in request.items() if key != "Tags"}
        if "Environment" in request:
            shown["Environment"] = {
                name: _STARS if self._is_hidden(name) else self._hide_in(value)
                for name, value in request["Environment"].items()
            }
        return shown

    def _is_hidden(self, name: str) -> bool:
        if isinstance(self._mask, bool):
            return self._mask
        from airflow_sm_processing.processing.environment import PIECE  # the parse of a DAG has no need

        # The name of a piece doesn't show which variables are in it.
        return name in self._mask or (bool(self._mask) and name.startswith(PIECE))

    def _hide_in(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {key: self._hide_in(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._hide_in(item) for item in value]
        return value

    def hide_in_refusal(self, text: str) -> str:
        """Return SageMaker's message on a refused request without the environment, which it may quote as a whole."""
        return self.hide(re.sub(_QUOTED_ENVIRONMENT, f"Value '{_STARS}' at 'environment", text))


def secret_forms(environment: object, mask: Mask = True) -> Iterator[str]:
    """Yield the texts in which an environment's secret values can show.

    If it isn't a mapping, it can't be an environment, and all strings in it are treated as values. Numbers and bools in
    a mapping are skipped unless their names are in the mask.
    """
    if not mask:
        return
    values: Iterable[Any] = [environment]
    if isinstance(environment, Mapping):
        from airflow_sm_processing.processing.environment import whole  # the parse of a DAG has no need

        values = [value for name, value in whole(environment).items() if mask is True or name in mask]
    for text in strings_in(values):
        if mask is not True or not _is_plain(text):
            yield from _forms(text)


def secret_queries(values: Iterable[Any]) -> Iterator[str]:
    """Yield the query strings of the presigned URLs in values, which may be nested."""
    for text in strings_in(values):
        yield from signed_queries(text)


def strings_in(values: Iterable[Any]) -> Iterator[str]:
    """Yield the strings in values: also in lists and dicts, in JSON of these, and the `str` of numbers and paths."""
    for value in values:
        if isinstance(value, str):
            yield value
            yield from strings_in(_from_json(value))
        elif isinstance(value, Mapping):
            yield from strings_in(value.values())
        elif isinstance(value, (list, tuple)):
            yield from strings_in(value)
        elif isinstance(value, (Number, PurePath)):
            yield str(value)  # as the job gets it


def _from_json(text: str) -> list[Any]:
    if not text.lstrip().startswith(("{", "[")):
        return []
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


def _is_plain(text: str) -> bool:
    if text.lower() in _PLAIN_WORDS:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _forms(text: str) -> Iterator[str]:
    """Yield the forms in which a value may be printed: plain, in JSON, by Python, in a URL, in our logs, by line."""
    pieces = {text, text.strip(), *(line.strip() for line in text.splitlines())}
    for piece in pieces:
        written = {piece, printable(piece), json.dumps(piece)[1:-1], repr(piece)[1:-1], quote(piece, safe="")}
        yield from (form for form in written if len(piece) >= _SHORTEST and len(form) >= _SHORTEST)
