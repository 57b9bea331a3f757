"""What the account allows in a second, and what was asked of it."""

from __future__ import annotations

from array import array
from collections import defaultdict, deque
from typing import Any


class Bucket:
    """A token bucket as large as a second's worth: a rejected call takes nothing out."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._tokens = self._size = max(rate, 1.0)
        self._filled = now

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        self._tokens = min(self._size, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Window:
    """At most so many calls in any one second: harder than a bucket, and what "5 a second, hard" is taken to mean."""

    def __init__(self, calls: int) -> None:
        self._taken: deque[float] = deque(maxlen=calls)

    def take(self, now: float) -> bool:
        """Count the call in if it fits."""
        if len(self._taken) == self._taken.maxlen and now - self._taken[0] < 1:
            return False
        self._taken.append(now)
        return True


class Counts:
    """Every call by operation, with its time."""

    def __init__(self) -> None:
        self._accepted: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._throttled: dict[str, array[float]] = defaultdict(lambda: array("d"))

    def add(self, operation: str, now: float, *, accepted: bool) -> None:
        """Count one call."""
        (self._accepted if accepted else self._throttled)[operation].append(now)

    def report(self) -> dict[str, Any]:
        """Return the calls by operation, and the most for logs, whatever the operation, in any one second."""
        operations = sorted(self._accepted.keys() | self._throttled.keys())
        return {
            "operations": {operation: self._counted(operation) for operation in operations},
            "busiest_log_second": busiest_second(
                [moment for operation in operations if "Log" in operation for moment in self._times(operation)]
            ),
        }

    def _counted(self, operation: str) -> dict[str, int]:
        return {
            "accepted": len(self._accepted[operation]),
            "throttled": len(self._throttled[operation]),
            "busiest_second": busiest_second(self._times(operation)),
        }

    def _times(self, operation: str) -> list[float]:
        return [*self._accepted[operation], *self._throttled[operation]]


def busiest_second(times: list[float]) -> int:
    """Count the most times that lie within one second."""
    times = sorted(times)
    most = first = 0
    for last, moment in enumerate(times):
        while moment - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
