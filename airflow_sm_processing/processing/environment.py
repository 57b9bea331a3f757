"""Environment variables that are over the bounds of CreateProcessingJob, in pieces that it takes.

The variables are joined to one text and cut into variables of our own, which a script in the container makes whole
again. They stay in the request, and not in S3, because their values may be secrets: whoever may describe the job can
read them as before, and hides them in its log.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PIECE", "SCRIPT", "in_pieces", "whole"]

PIECE = "AIRFLOW_SM_PROCESSING_ENV_"
"""The names of the pieces begin with it, and end with their numbers from 0."""
_SEPARATED = re.compile(r"(?P<separator><\d+>):(?P<variables>.*)", re.DOTALL)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,255}")  # as CreateProcessingJob's service model has it

SCRIPT = f"""\
# Environment variables that are over the bounds of CreateProcessingJob: they come in pieces, joined by a separator.
_airflow_number=0 _airflow_rest=
while eval "_airflow_piece=\\${{{PIECE}$_airflow_number-}}" && [ -n "$_airflow_piece" ]; do
    _airflow_rest=$_airflow_rest$_airflow_piece
    unset "{PIECE}$_airflow_number"
    _airflow_number=$((_airflow_number + 1))
done
_airflow_separator=${{_airflow_rest%%:*}} _airflow_rest=${{_airflow_rest#*:}}
while [ -n "$_airflow_rest" ]; do
    export "${{_airflow_rest%%"$_airflow_separator"*}}"
    _airflow_rest=${{_airflow_rest#*"$_airflow_separator"}}
done
unset _airflow_number _airflow_rest _airflow_piece _airflow_separator
"""
"""For `/bin/sh`: exports the variables that are in pieces."""


def in_pieces(environment: Mapping[str, str], *, most: int, longest: int) -> dict[str, str] | None:
    """Return the environment with what is over the bounds in pieces; None if it is within them, or too large for that.

    Args:
        environment: The variables by their names.
        most: How many variables a request can have.
        longest: The characters that a value can have.
    """
    if len(environment) <= most and all(len(value) <= longest for value in environment.values()):
        return None
    if not all(_NAME.fullmatch(name) and "\0" not in value for name, value in environment.items()):
        return None  # validation says what is wrong with it
    if any(name.startswith(PIECE) for name in environment):
        return None
    short = {name: value for name, value in environment.items() if len(value) <= longest}
    for kept in (short, {}):
        cut = {name: value for name, value in environment.items() if name not in kept}
        text = _joined([f"{name}={value}" for name, value in cut.items()])
        pieces = [text[start : start + longest] for start in range(0, len(text), longest)]
        if len(kept) + len(pieces) <= most:
            return kept | {f"{PIECE}{number}": piece for number, piece in enumerate(pieces)}
    return None


def _joined(variables: list[str]) -> str:
    """Return a separator that is in none of the variables, a colon, and each variable with the separator after it."""
    for number in count():
        separator = f"<{number}>"
        text = "".join(f"{variable}{separator}" for variable in variables)
        if text.split(separator) == [*variables, ""]:
            return f"{separator}:{text}"
    raise AssertionError("unreachable")


def whole(environment: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the environment as the container's command has it, with the variables that are in pieces put together."""
    pieces: list[str] = []
    while isinstance(piece := environment.get(f"{PIECE}{len(pieces)}"), str) and piece:
        pieces.append(piece)
    text = _SEPARATED.fullmatch("".join(pieces))
    if text is None:
        return dict(environment)
    plain = {name: value for name, value in environment.items() if not str(name).startswith(PIECE)}
    variables = (variable.partition("=") for variable in text["variables"].split(text["separator"])[:-1])
    return plain | {name: value for name, _, value in variables}
