"""What Airflow's processes import from their home's `config` folder when they start.

https://airflow.apache.org/docs/apache-airflow/stable/howto/set-config.html#configuring-local-settings
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import event
from sqlalchemy.engine import Engine

__all__: tuple[str, ...] = ()  # Airflow would make each other name a setting


@event.listens_for(Engine, "connect")
def _leave_the_disk_to_the_system(connection: object, _record: object) -> None:
    """Let SQLite hand its writes to the operating system, and not wait until the disk has them.

    A wait for the disk is one with the database locked, and processes that don't get the lock for long enough end. What
    a killed process has committed is kept; a power cut may lose it, but such a home is made anew at the next start.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
