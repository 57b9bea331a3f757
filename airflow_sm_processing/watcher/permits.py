"""One bucket of permits for all AWS calls of a connection, at the pace that the account gives."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import random
from collections import deque
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

from airflow_sm_processing.watcher.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Permits", "Priority"]

log = logging.getLogger(__name__)

_FLOOR = 0.1
_CEILING = 20.0
_START = 5.0  # no rate is published for the processing-job calls: low single digits are safe to begin with
_BURST = 2.0
_MEASURED_SECONDS = 5.0
_CAREFUL_SECONDS = 60.0
_GROWTH, _CAREFUL_GROWTH = 0.2, 0.02  # calls a second, added by each success; the latter for a while after a throttle
_QUIET_SECONDS = 3600.0  # a throttle after that long is worth another line in the log


class Priority(IntEnum):
    """Who goes first when permits are scarce."""

    STATUS = 0
    """Whether a job has ended, and stopping it."""
    LOGS = 1
    SWEEP = 2
    """Makes sure that nothing was missed."""


class Permits:
    """Hands out permits at an adaptive rate: it grows with each success and falls to what is accepted at a throttle.

    A waiter of a higher priority goes first; while a block of `urgent()` runs, no other goes at all, so that the pages
    of a listing, which follow one another, don't let others in between.
    """

    def __init__(
        self,
        *,
        rate: float = _START,
        ceiling: float = _CEILING,
        burst: float = _BURST,
        name: str = "AWS",
    ) -> None:
        """Take calls a second to begin with, and at most, and how many may go before their time after a pause.

        `name` says in the log whose calls they are.
        """
        self.rate = rate
        self._ceiling = ceiling
        self._burst = burst
        self._name = name
        self._due = now()  # when the bucket is full again, as in the generic cell rate algorithm
        self._accepted: deque[float] = deque()
        self._throttled_at: float | None = None
        self._urgent = 0
        self._order = 0
        self._waiters: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_scarce(self) -> bool:
        """Whether calls were refused lately."""
        return self._throttled_at is not None and now() - self._throttled_at < _CAREFUL_SECONDS

    async def acquire(self, priority: Priority = Priority.STATUS) -> None:
        """Wait for a permit."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiters, (priority, self._order, waiter))
        self._grant()
        await waiter

    def used(self) -> None:
        """Count the pace from now: the call that the last permit is for was held up."""
        self._due = max(self._due, now() + 1 / self.rate)

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Keep everything but status calls waiting."""
        self._urgent += 1
        try:
            yield
        finally:
            self._urgent -= 1
            self._grant()

    def succeeded(self) -> None:
        """Note that a call was let through."""
        moment = now()
        self._accepted.append(moment)
        self._forget(moment)
        self.rate = min(self._ceiling, self.rate + (_CAREFUL_GROWTH if self.is_scarce else _GROWTH))

    def throttled(self) -> None:
        """Note that a call was refused for there being too many."""
        moment = now()
        since = math.inf if self._throttled_at is None else moment - self._throttled_at
        if since >= 1 / self.rate:  # refusals come in bursts, and one burst counts once
            self._forget(moment)
            accepted = len(self._accepted) / _MEASURED_SECONDS
            self.rate = max(_FLOOR, min(max(accepted, self.rate * 0.6), self.rate * 0.9))
        self._throttled_at = moment
        self._due = max(self._due, moment) + random.uniform(0, 1 / self.rate)  # noqa: S311  # full jitter, no secret
        if since > _QUIET_SECONDS:
            log.warning("%s throttles: going on with %.1f calls a second.", self._name, self.rate)

    def _forget(self, moment: float) -> None:
        while self._accepted and self._accepted[0] < moment - _MEASURED_SECONDS:
            self._accepted.popleft()

    def _grant(self) -> None:
        """Let waiters go that are due, and come again when the next will be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while waiter := self._next():
            moment = now()
            early = self._due - moment - self._burst / self.rate
            if early > 0:
                self._timer = asyncio.get_running_loop().call_later(early, self._grant)
                return
            heapq.heappop(self._waiters)
            self._due = max(self._due, moment) + 1 / self.rate
            waiter.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        while self._waiters and self._waiters[0][2].done():  # cancelled
            heapq.heappop(self._waiters)
        if not self._waiters or (self._urgent and self._waiters[0][0] is not Priority.STATUS):
            return None
        return self._waiters[0][2]
