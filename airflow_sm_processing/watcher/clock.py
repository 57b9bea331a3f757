"""The event loop's own clock, by which all waiting here goes."""

from __future__ import annotations

import asyncio

__all__ = ["now"]


def now() -> float:
    """Give the running loop's time, in seconds from an arbitrary moment."""
    return asyncio.get_running_loop().time()
