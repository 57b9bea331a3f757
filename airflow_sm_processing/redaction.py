"""Make text from outside safe to show: control characters escaped, signatures of presigned URLs removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["one_line", "printable", "signed_queries", "storable", "without_signatures"]


# What could move a terminal's cursor, ring its bell, fake another line, or not be encoded at all.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def printable(text: str) -> str:
    """Show control characters escaped; tabs and newlines stay."""
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Show newlines escaped as well."""
    return printable(text).replace("\n", "\\n")


def storable(text: str | None) -> str | None:
    """Escape what neither a database nor UTF-8 can hold, and hence no XCom: NUL and lone surrogates."""
    return text and _UNSTORABLE.sub(_escaped, text)


_URL_CHARACTERS = r"[^\s'\"<>?]"
# Of S3's two ways to sign a URL, of CloudFront's, and of AWS APIs' own.
_QUERY = re.compile(
    rf"\?({_URL_CHARACTERS}*?"
    rf"(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=[^\s'\"<>]*)",
    re.IGNORECASE,
)


def without_signatures(text: str) -> str:
    """Cut the query of each presigned URL in a text."""
    return _QUERY.sub("?***", text) if "?" in text else text


def signed_queries(text: str) -> Iterator[str]:
    """Yield the query of each presigned URL in a text."""
    if "?" in text:
        yield from _QUERY.findall(text)
