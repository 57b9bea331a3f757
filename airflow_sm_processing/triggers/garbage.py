"""Keeps the garbage collector from blocking a triggerer's event loop."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["without_collections"]

_collector = threading.RLock()


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep the collector from running while boto3 is loaded and clients are made, and from what they leave.

    Airflow and boto3 are a million objects that stay. To look through them all takes the collector a fifth of a
    second, in which no thread runs and no trigger moves; megabytes of JSON, read into small objects, make it do so
    again and again. So it rests meanwhile, and what the process has loaded by the first time is left out of its
    rounds for good, as servers do that are about to fork.
    """
    with _collector:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if was_enabled:
                _leave_out_what_is_loaded()
                gc.enable()


@cache
def _leave_out_what_is_loaded() -> None:
    gc.freeze()
