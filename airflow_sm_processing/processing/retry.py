"""Retry what may pass: for how long, how often, and with which jitter."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random,
    wait_random_exponential,
)

from airflow_sm_processing.exceptions import TransientError, UploadError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity.wait import wait_base

__all__ = ["RetryBudget", "backoff", "error_of", "jittered", "retry", "retry_async", "retrying"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_SOON = wait_random(0.5, 5.0)
_MOST_DOUBLINGS = 30


def jittered(seconds: float, *, low: float = 0.9, high: float = 1.1) -> float:
    """Return about so many seconds: many who wait for the same don't call at the same time."""
    return seconds * random.uniform(low, high)  # noqa: S311  # no secret


def backoff(failures: int, *, first: float, longest: float, shortest: float = 0.0) -> float:
    """Return the seconds to wait after so many failures: full jitter over a bound that doubles with each.

    Args:
        failures: How many there were before the last one.
        first: The bound after the first, in seconds.
        longest: The bound's own bound.
        shortest: The least to wait.
    """
    return random.uniform(shortest, min(first * 2.0 ** min(failures, _MOST_DOUBLINGS), longest))  # noqa: S311  # no secret


class RetryBudget:
    """The seconds for which transient errors are retried: they count from the first error until a success."""

    def __init__(self, bound: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bound = bound
        self._clock = clock
        self._since: float | None = None

    def spend(self, error: TransientError | UploadError) -> None:
        """Log the error, or raise it if the time is up."""
        if self._is_spent(error):
            raise error

    def __call__(self, state: RetryCallState) -> bool:
        """Return whether to stop, as tenacity asks it."""
        return self._is_spent(error_of(state))

    def _is_spent(self, error: BaseException | None) -> bool:
        if self._bound <= 0:
            return True
        now = self._clock()
        if self._since is None:
            self._since = now
            log.warning("%s Retrying for up to %.0f s.", error, self._bound)
        return now - self._since >= self._bound

    def reset(self) -> None:
        """Note a success."""
        if self._since is not None:
            log.info("The service answers again after %.0f s.", self._clock() - self._since)
        self._since = None


def error_of(state: RetryCallState) -> BaseException | None:
    """Return what the last try raised."""
    return None if state.outcome is None else state.outcome.exception()


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    return isinstance(error, TransientError)


def retrying(
    stop: Callable[[RetryCallState], bool],
    *,
    may_pass: Callable[[BaseException], bool] = is_transient,
    longest_pause: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Retrying:
    """Return tenacity's retry loop for calls to AWS, which raises the last error as it was.

    Args:
        stop: Whether to give up: a `RetryBudget`.
        may_pass: Which errors are retried.
        longest_pause: The bound of pauses that double from one second, with full jitter; half a second to five if None.
        sleep: Waits so many seconds; what it raises ends the loop.
    """
    wait = _SOON if longest_pause is None else wait_random_exponential(multiplier=1, max=longest_pause)
    return Retrying(retry=retry_if_exception(may_pass), stop=stop, wait=wait, sleep=sleep, reraise=True)


def retry(call: Callable[[], _T], *, max_seconds: float, sleep: Callable[[float], None] = time.sleep) -> _T:
    """Return what a call returns, which is made again through transient errors.

    Raises:
        TransientError: It lasted longer than `max_seconds`.
    """
    budget = RetryBudget(max_seconds)
    answer = retrying(budget, sleep=sleep)(call)
    budget.reset()
    return answer


async def retry_async(
    call: Callable[[], Awaitable[_T]],
    stop: Callable[[RetryCallState], bool],
    *,
    wait: wait_base | Callable[[RetryCallState], float] | None = None,
) -> _T:
    """Do the same in an event loop, until `stop` says to give up; two seconds at most between two calls by default."""
    tries = AsyncRetrying(
        retry=retry_if_exception(is_transient),
        stop=stop,
        wait=wait_random(0, 2) if wait is None else wait,
        sleep=asyncio.sleep,
        reraise=True,
    )
    return await tries(call)
