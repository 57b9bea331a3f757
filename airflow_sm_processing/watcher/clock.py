"""The event loop's own clock, by which all waiting here goes."""

from __future__ import annotations

import asyncio

__all__ = ["now", "set_within"]


def now() -> float:
    """Give the running loop's time, in seconds from an arbitrary moment."""
    return asyncio.get_running_loop().time()


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for so long, and tell whether it came.

    Before Python 3.12, `asyncio.wait_for` may swallow a cancellation that comes together with the event.
    """
    over = False

    def end() -> None:
        nonlocal over
        over = True
        event.set()

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        await event.wait()
    finally:
        timer.cancel()
    if over:
        event.clear()
    return not over
