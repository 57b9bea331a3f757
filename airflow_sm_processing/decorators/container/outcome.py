"""Write a call's result or error to files that SageMaker uploads, whether the job fails or not."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import pathlib
import traceback
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .values import KIND, VALUE, EncodeError, encode

if TYPE_CHECKING:
    import types

__all__ = ["Outcome"]

_MESSAGE_BYTES = 1024  # SageMaker keeps this many of the first bytes of /opt/ml/output/message
_WORTH_A_FILE = 1024  # bytes; a reference to a file takes a tenth of that
_BYTES_OF_A_KIND = 50  # `airflow.sdk.serde` adds to a tuple, date etc., beyond what this module writes
_BYTES_OF_A_ZONE = 130  # and for a datetime's time zone
_TRACEBACK_CHARACTERS = 60_000
_MAX_DEPTH = 200  # messages between Airflow's task and supervisor allow about 255 levels
_RESERVED_KEYS = frozenset({"__classname__", "__id__", "__type"})  # of `airflow.sdk.serde`
_HERE = str(pathlib.Path(__file__).parent)


class Outcome:
    """Writes one host's result or error to its folder."""

    def __init__(self, folder: pathlib.Path, host: str) -> None:
        self._folder = folder
        self._host = host

    def put_result(self, value: Any, *, multiple_outputs: bool, max_xcom_bytes: int) -> None:
        """Write what the function returned to `result.json`, and large values to files of their own."""
        if not multiple_outputs:
            parts = {"value": _encoded(value, "the returned value")}
            self._put_large_ones_apart(parts, {"value": "value.json"}, max_xcom_bytes)
            self._write("result.json", {"returned": parts["value"]})
            return
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise EncodeError("the returned value", "must be a dict with strings as keys, for multiple_outputs")
        parts = {key: _encoded(item, f"the returned value[{key!r}]") for key, item in value.items()}
        files = {key: f"value-{number}.json" for number, key in enumerate(parts, 1)}
        self._put_large_ones_apart(parts, files, max_xcom_bytes)
        self._write("result.json", {"each": parts})

    def _put_large_ones_apart(self, parts: dict[str, Any], files: Mapping[str, str], most_bytes: int) -> None:
        """Move the largest values to their own files until the rest is small enough for one XCom.

        Small values stay together, even if they are large in total: each file holds one value and is one upload.
        """
        sizes = {key: _bytes_in_xcom(json.dumps(part)) for key, part in parts.items()}
        left = sum(sizes.values())
        for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
            if left <= most_bytes or sizes[key] <= min(most_bytes, _WORTH_A_FILE):
                return
            self._write(files[key], parts[key])
            parts[key] = {KIND: "file", VALUE: [files[key], len(json.dumps(parts[key]))]}
            left -= sizes[key]

    def put_error(self, error: BaseException, message_file: pathlib.Path) -> str:
        """Write an error to `error-<host>.json`, and in short to SageMaker's ExitMessage; return its traceback."""
        found = traceback.TracebackException(type(error), error, _from_the_function_on(error.__traceback__))
        text = "".join(found.format())
        head = "".join(found.format_exception_only()).strip()
        content = {
            "type": type(error).__name__,
            "summary": _cut(head),
            "traceback": _cut(text),
            "exit_code": error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else None,
            "host": self._host,
            "refused": isinstance(error, EncodeError),
        }
        self._write(f"error-{self._host}.json", content)
        if not message_file.exists():  # the function may have written a message itself
            message_file.parent.mkdir(parents=True, exist_ok=True)
            message_file.write_bytes(_short(head, "".join(found.stack.format())))
        return text

    def _write(self, name: str, content: Any) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / (name + ".part")
        part.write_text(json.dumps(content), encoding="utf-8")
        os.replace(str(part), str(self._folder / name))  # noqa: PTH105  # atomic, since SageMaker uploads meanwhile


def _bytes_in_xcom(written: str) -> int:
    """Return an upper bound of a value's bytes in XCom, where values that JSON can't represent take more."""
    return (
        len(written)
        + _BYTES_OF_A_KIND * written.count(f'{{"{KIND}": "')
        + _BYTES_OF_A_ZONE * written.count(f'{{"{KIND}": "datetime"')
    )


def _encoded(value: Any, where: str) -> Any:
    """Return a returned value as JSON; raise at once if no XCom can hold it, since a retry would return the same."""
    plain = encode(value, where, refuse=_rule_of_xcom)
    _check_depth(plain, where)
    return plain


def _rule_of_xcom(value: Any) -> str | None:
    """Return the rule that makes a value unusable in an XCom, although arguments may have it; None if it is usable."""
    if isinstance(value, (bytes, bytearray, dt.time, uuid.UUID)):
        name = type(value).__name__
        return f"holds {name}, which not every Airflow's XCom can: return another form of it, or write it to an output"
    if isinstance(value, float) and not math.isfinite(value):
        return f"holds {value}, which not every database takes as an XCom"
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "holds an integer of more than 64 bits, which Airflow can't pass on: return it as a string"
    if isinstance(value, str):
        return _rule_of_text(value)
    return _rule_of_keys(value) if isinstance(value, Mapping) else None


def _rule_of_text(value: str) -> str | None:
    if "\0" in value:
        return "holds the character U+0000, which PostgreSQL can't store"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate), which UTF-8 can't encode"
    return None


def _rule_of_keys(value: Mapping[Any, Any]) -> str | None:
    if not all(isinstance(key, str) for key in value):
        return "holds a dict with keys that are no strings, which XCom would change"
    reserved = sorted(_RESERVED_KEYS & set(value))
    return f"holds the key {reserved[0]!r}, by which Airflow recognises its own objects" if reserved else None


def _check_depth(plain: Any, where: str) -> None:
    level = [plain]
    for _ in range(_MAX_DEPTH + 1):
        structures = [item for item in level if isinstance(item, (dict, list, tuple))]
        if not structures:
            return
        level = [inner for item in structures for inner in (item.values() if isinstance(item, dict) else item)]
    raise EncodeError(where, f"is nested more than {_MAX_DEPTH} levels deep, which is more than Airflow passes on")


def _from_the_function_on(trace: types.TracebackType | None) -> types.TracebackType | None:
    """Return a traceback without this package's own frames, which mean nothing to the user."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace


def _cut(text: str) -> str:
    if len(text) <= _TRACEBACK_CHARACTERS:
        return text
    half = _TRACEBACK_CHARACTERS // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters left out) …\n{text[-half:]}"


def _short(head: str, frames: str) -> bytes:
    """Return the error and as many of the innermost frames as fit in the bytes that SageMaker keeps."""
    first = head.encode()[:_MESSAGE_BYTES]
    room = _MESSAGE_BYTES - len(first) - 1
    lines = frames.encode().splitlines(keepends=True)
    while lines and sum(map(len, lines)) > room:
        del lines[0]
    return (first + b"\n" + b"".join(lines)).decode("utf-8", "ignore").encode()
