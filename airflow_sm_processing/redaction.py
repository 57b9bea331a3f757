"""Make text from outside safe to show: control characters escaped, signatures of presigned URLs removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


# Patterns are strings, which `re` compiles and caches on first use: parsing a DAG file doesn't need them.

__all__ = ["one_line", "printable", "signed_queries", "storable", "without_signatures"]


# Characters that could move a terminal's cursor, ring its bell, fake another line, or couldn't be encoded.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"

_UNSTORABLE = "[\0\ud800-\udfff]"


def printable(text: str) -> str:
    """Return a text with control characters escaped, except tabs and newlines."""
    return re.sub(_CONTROL, _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Return a text with control characters escaped, including newlines."""
    return printable(text).replace("\n", "\\n")


def storable(text: str | None) -> str | None:
    """Return a text with NUL and lone surrogates escaped, which databases or UTF-8, and so XComs, can't hold."""
    return text and re.sub(_UNSTORABLE, _escaped, text)


_URL_CHARACTERS = r"[^\s'\"<>?]"
# The query parameters of URLs signed in S3's two ways, by CloudFront, and for AWS APIs.
_QUERY = (
    rf"(?i)\?({_URL_CHARACTERS}*?"
    rf"(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=[^\s'\"<>]*)"
)


def without_signatures(text: str) -> str:
    """Return a text without the query strings of the presigned URLs in it."""
    return re.sub(_QUERY, "?***", text) if "?" in text else text


def signed_queries(text: str) -> Iterator[str]:
    """Yield the query string of each presigned URL in a text."""
    if "?" in text:
        yield from re.findall(_QUERY, text)
