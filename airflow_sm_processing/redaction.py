"""Make text from outside safe to show: control characters escaped, signatures of presigned URLs removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


# Patterns are compiled, and kept by `re`, when they are first used: a DAG file's parse needs none.

__all__ = ["one_line", "printable", "signed_queries", "storable", "without_signatures"]


# What could move a terminal's cursor, ring its bell, fake another line, or not be encoded at all.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"

_UNSTORABLE = "[\0\ud800-\udfff]"


def printable(text: str) -> str:
    """Show control characters escaped; tabs and newlines stay."""
    return re.sub(_CONTROL, _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Show newlines escaped as well."""
    return printable(text).replace("\n", "\\n")


def storable(text: str | None) -> str | None:
    """Escape what neither a database nor UTF-8 can hold, and hence no XCom: NUL and lone surrogates."""
    return text and re.sub(_UNSTORABLE, _escaped, text)


_URL_CHARACTERS = r"[^\s'\"<>?]"
# Of S3's two ways to sign a URL, of CloudFront's, and of AWS APIs' own.
_QUERY = (
    rf"(?i)\?({_URL_CHARACTERS}*?"
    rf"(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=[^\s'\"<>]*)"
)


def without_signatures(text: str) -> str:
    """Cut the query of each presigned URL in a text."""
    return re.sub(_QUERY, "?***", text) if "?" in text else text


def signed_queries(text: str) -> Iterator[str]:
    """Yield the query of each presigned URL in a text."""
    if "?" in text:
        yield from re.findall(_QUERY, text)
