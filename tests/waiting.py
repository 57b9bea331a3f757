"""Waiting for a fact that another thread or process brings about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

_T = TypeVar("_T")
_SECONDS = 300
"""Far above what a busy machine needs, and below what the jobs last that are to end earlier."""


def wait_until(fact: Callable[[], _T | None], *, shows: Callable[[], object], within: float = _SECONDS) -> _T:
    """Return the first true answer of `fact`; the pauses between two calls grow, for each may be a request.

    Args:
        fact: Returns something true when the wait is over.
        shows: Returns what the failure shows if it has not been true in time.
        within: The time, in seconds.
    """

    def fail(_: RetryCallState) -> NoReturn:
        pytest.fail(f"not so after {within:g} s: {shows()}")

    pauses = wait_exponential(multiplier=0.02, exp_base=1.5, max=0.2)
    retrying = Retrying(
        retry=retry_if_result(lambda found: not found),
        wait=pauses,
        stop=stop_after_delay(within),
        retry_error_callback=fail,
    )
    found: _T = retrying(fact)
    return found
