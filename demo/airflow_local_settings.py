"""What Airflow's processes import from their home's `config` folder when they start.

https://airflow.apache.org/docs/apache-airflow/stable/howto/set-config.html#configuring-local-settings
"""

from __future__ import annotations

import asyncio
import sqlite3

from sqlalchemy import event
from sqlalchemy.engine import Engine

__all__: tuple[str, ...] = ()  # Airflow would take each other name for a setting

LONGEST_WAIT_IN_LOOP_MILLISECONDS = 2000


@event.listens_for(Engine, "connect")
def _wait_less_in_event_loops(connection: object, _record: object) -> None:
    """Keep an event loop from waiting long for the lock of a SQLite database.

    Airflow's API server writes what users do to its audit log in its event loop (`action_logging`). A request that has
    the lock at that moment needs the event loop to commit, so each waits for the other until the time-out of the
    loop's wait. Processes that have waited longer would have reached theirs, and the scheduler would have ended.
    """
    if isinstance(connection, sqlite3.Connection) and _is_in_event_loop():
        connection.execute(f"PRAGMA busy_timeout={LONGEST_WAIT_IN_LOOP_MILLISECONDS}")


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
