"""Exit codes as a task's parameters name them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["read_exit_codes"]

_LARGEST = 255


def read_exit_codes(value: Any) -> frozenset[int]:
    """Return the exit codes of one, several or none, which a template may have written as text or JSON.

    Raises:
        ValueError: There is something else among them.
    """
    plain = _from_json(value) if isinstance(value, str) else value
    if plain is None or plain == "":
        return frozenset()
    if isinstance(plain, Collection) and not isinstance(plain, (str, bytes, Mapping)):
        return frozenset(_exit_code(item) for item in plain)
    return frozenset([_exit_code(plain)])


def _exit_code(value: Any) -> int:
    text = value.strip() if isinstance(value, str) else ""
    code = int(text) if text.isascii() and text.isdecimal() else value
    if isinstance(code, bool) or not isinstance(code, int) or not 0 < code <= _LARGEST:
        raise ValueError(f"must be an exit code from 1 to {_LARGEST}, or several in a list")
    return code


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
