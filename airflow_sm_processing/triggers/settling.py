"""How long a task stays deferred at least.

Airflow's scheduler fails a resumed task, whatever became of its job, if it learns only then that the process which
deferred it has ended: it takes that end for the resumed one's (https://github.com/apache/airflow/issues/72716). The
news is late by up to `[workers] min_heartbeat_interval`: so long may a supervisor wait after its process's last word.
"""

from __future__ import annotations

import asyncio
import time

from airflow.configuration import conf

__all__ = ["settled"]

_SCHEDULER_SECONDS = 5.0
"""For the scheduler to come round, on a busy machine too."""


async def settled(deferred: float) -> None:
    """Return when a task may resume whose trigger started at `deferred`, by `time.monotonic()`.

    `[sm_processing] shortest_deferral` says after how many seconds.
    """
    await asyncio.sleep(deferred + _shortest_deferral() - time.monotonic())


def _shortest_deferral() -> float:
    own: str = conf.get("sm_processing", "shortest_deferral", fallback="")
    if own:
        return float(own)
    lag: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return lag + _SCHEDULER_SECONDS
