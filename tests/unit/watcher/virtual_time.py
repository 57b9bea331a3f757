"""An event loop whose clock jumps to the next timer when nothing else is to do: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import random
import selectors
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from blockbuster import blockbuster_ctx

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

START = 1_767_225_600.0
"""What this machine's clock shows when a loop begins, in seconds since the epoch; the loop's own clock shows 0."""


_TICK = 1e-9
"""Seconds that each round of the loop takes, so that a wait until a moment has passed ends."""

_END = 6 * 3600.0


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock on instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events:
            assert timeout is not None, "everything waits, and nothing is to come"
            self.now += timeout
            assert self.now < _END, "what was waited for doesn't come"
        self.now += _TICK
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs what is ready, then what is next."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; a blocking call, an error that nobody retrieved, or a task left behind makes it fail."""
    loop = VirtualTimeLoop()
    untaken: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: untaken.append(context))
    chance = random.getstate()
    random.seed(0)  # of the jitter
    try:
        with patch("time.time", lambda: START + loop.time()), blockbuster_ctx():
            result = loop.run_until_complete(main)
            left = _left_behind(loop)
        assert (left, untaken) == (set(), [])
        return result
    finally:
        random.setstate(chance)
        _left_behind(loop)
        loop.close()


def _left_behind(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """Return the tasks that are there though nothing asks for them, and end them."""

    async def end() -> set[asyncio.Task[Any]]:
        await asyncio.sleep(0)  # generators that were left half-way are closed here
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return tasks

    return loop.run_until_complete(end())
