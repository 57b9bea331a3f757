"""Text of others, shown without being obeyed."""

from __future__ import annotations

import re

__all__ = ["one_line", "printable"]

# What could move a terminal's cursor, ring its bell, fake another line, or not be encoded at all.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(text: str) -> str:
    """Show control characters escaped; tabs and newlines stay."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """Show newlines escaped as well."""
    return printable(text).replace("\n", "\\n")
