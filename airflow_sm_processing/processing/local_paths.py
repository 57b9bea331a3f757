"""Local files as users name them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["local_path"]

FILE_SCHEME = "file://"


def local_path(text: str) -> Path | None:
    """Give the path that a plain path or a `file://` URI names; None for a URI of any other scheme.

    A plain path is taken literally, `#`, `?` and `%` included. An empty one names nothing: `Path("")` would be the
    current folder, all of which would be uploaded.
    """
    if text[: len(FILE_SCHEME)].lower() == FILE_SCHEME:
        parts = urlsplit(text)
        text = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
    elif "://" in text:
        return None
    return Path(text) if text else None
