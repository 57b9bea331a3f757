"""Whose turn it is to try again when there was no room for a job."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque

from airflow_sm_processing.watcher.clock import now

__all__ = ["Turns"]

_FIRST_PAUSE, _SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 0.5, 60.0
_REMEMBERED = 100
_HEARD_WITHIN = 30.0  # seconds in which a worker has tried, and its task has come back if it was refused


class Turns:
    """Lets those who were refused try again one after the other, the longest waiting first.

    Nobody says when there is room. So a turn comes when a job has ended, and besides after a pause that doubles with
    each try that is refused and shrinks with each job that is made: as quick as the account allows, and slow where a
    quota is used up for hours.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrivals = itertools.count()
        self._pause = _FIRST_PAUSE
        self._last_turn: float | None = None
        self._unheard: deque[float] = deque(maxlen=_REMEMBERED)
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(not turn.done() for _, _, turn in self._waiting)

    async def wait(self, since: float) -> None:
        """Wait for a turn.

        Args:
            since: When this one was first refused, in seconds since the epoch: the longest waiting is the next.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (since, next(self._arrivals), turn))
        self._set_timer()
        try:
            await turn
        finally:
            if turn.cancelled():
                self._set_timer()

    def refused(self) -> None:
        """Note that one whose turn it was came back."""
        self._unheard.clear()
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def made(self) -> None:
        """Note that a job was made."""
        self._pause = max(self._pause / 2, _SHORTEST_PAUSE)
        self._set_timer()

    def room(self) -> None:
        """Note that a job has ended, which leaves room for another."""
        self._give_turn()

    def close(self) -> None:
        """Give no more turns."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not len(self):
            return
        began = now() if self._last_turn is None else self._last_turn
        pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311  # other triggerers wait as well
        self._timer = asyncio.get_running_loop().call_later(max(0.0, began + pause - now()), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._unheard and self._unheard[0] < now() - _HEARD_WITHIN:
            self._unheard.popleft()
            self._pause = max(self._pause / 2, _SHORTEST_PAUSE)
        self._give_turn()
        self._set_timer()

    def _give_turn(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                self._last_turn = now()
                self._unheard.append(self._last_turn)
                return
