"""What Airflow's processes import from their home's `config` folder when they start.

https://airflow.apache.org/docs/apache-airflow/stable/howto/set-config.html#configuring-local-settings
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3

from sqlalchemy import event
from sqlalchemy.pool import Pool

__all__: tuple[str, ...] = ()  # Airflow would take each other name for a setting

# By Python's default of 700, a tenth to a fifth of the CPU time of each start is the garbage collector's, which looks
# through all that the imports bring, again and again.
gc.set_threshold(50_000)

# On a busy machine, a write may wait for another's far longer than SQLite's default 5 seconds.
LOCK_TIMEOUT_MILLISECONDS = 60_000
LOCK_TIMEOUT_IN_EVENT_LOOP_MILLISECONDS = 2_000


@event.listens_for(Pool, "checkout")
def _set_lock_timeout(connection: object, _record: object, _proxy: object) -> None:
    """Set how long whoever uses a connection to a SQLite database waits for its lock: in an event loop, not for long.

    Airflow's API server writes what users do to its audit log in its event loop (`action_logging`). A request that has
    the lock at that moment needs the event loop to commit, so each waits for the other until the time-out of the
    loop's wait. Processes that have waited longer would have reached theirs, and the scheduler would have ended.
    """
    if isinstance(connection, sqlite3.Connection):
        timeout = LOCK_TIMEOUT_IN_EVENT_LOOP_MILLISECONDS if _is_in_event_loop() else LOCK_TIMEOUT_MILLISECONDS
        connection.execute(f"PRAGMA busy_timeout={timeout}")


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
