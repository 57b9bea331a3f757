"""Presigned URLs: whoever reads one may use it, so their queries aren't shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["signed_queries", "without_signatures"]

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
