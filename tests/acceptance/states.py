"""The states of runs and tasks, as the REST API has them but read from Airflow's database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from demo.airflow_api import TaskInstance

if TYPE_CHECKING:
    from pathlib import Path

    from demo.airflow_services import RunningAirflow

_RUN = "SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?"
_TASKS = """
    SELECT task_instance.*, trigger.triggerer_id
    FROM task_instance LEFT JOIN trigger ON trigger.id = task_instance.trigger_id
    WHERE dag_id = ? AND run_id = ?
    ORDER BY start_date IS NULL, start_date, task_instance.id
"""
_LOCKED_SECONDS = 60.0


class States(Protocol):
    """What a test that waits asks for again and again."""

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state, such as `running`."""

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return a run's tasks, those that started first first."""


def states_of(airflow: RunningAirflow) -> States:
    """Return the database if it is a file, and else the REST API.

    Tests look every second, a dozen at a time, and the API server computes for 30 ms to answer.
    """
    database = airflow.home.database
    return SqliteStates(database) if database.exists() else airflow.api


class SqliteStates:
    """The states in a SQLite database."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state, such as `running`."""
        [found] = self._select(_RUN, dag_id, run_id)
        return str(found["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return a run's tasks, those that started first first."""
        return [
            TaskInstance.from_response(
                {**found, "id": str(UUID(found["id"])), "trigger": {"triggerer_id": found["triggerer_id"]}}
            )
            for found in self._select(_TASKS, dag_id, run_id)
        ]

    def _select(self, query: str, *parameters: str) -> list[Any]:
        with closing(sqlite3.connect(self._database, timeout=_LOCKED_SECONDS)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query, parameters).fetchall()
