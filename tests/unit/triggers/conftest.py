"""An event loop that nothing may block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def blocking_calls_fail() -> Iterator[None]:
    """A call that blocks a running event loop raises BlockingError."""
    with blockbuster_ctx():
        yield
