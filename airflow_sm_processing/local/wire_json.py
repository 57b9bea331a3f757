"""JSON as it comes over the wire or out of S3, from anybody."""

from __future__ import annotations

import json
from typing import Any


def loads(data: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is none; or it has what Python takes and JSON lacks, such as NaN; or text that UTF-8 can't have;
            or lists in lists deeper than anybody means.
    """
    try:
        read = json.loads(data, parse_constant=_refuse)
        if b"\\u" in data:
            json.dumps(read, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return read


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
