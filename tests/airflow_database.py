"""An empty database of Airflow, which tests copy: `airflow db migrate` computes longer than many tests of a task.

It is for one process of Airflow at a time. Where several start at once, `airflow db migrate` comes first, for it also
writes the configuration: without one, each of them would write its own, with a Fernet key that the others don't have.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from demo.airflow_home import AirflowHome


def empty_database() -> Path:
    """Return the SQLite database as `airflow db migrate` makes it, made once for the environment that tests run in."""
    database = Path(sys.prefix) / f"airflow-{version('apache-airflow-core')}.db"
    with database.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            _migrate(database)
    return database


def ensure_database() -> None:
    """Copy it to this process's own Airflow home, unless that has a database already."""
    database = Path(os.environ["AIRFLOW_HOME"], "airflow.db")
    if not database.exists():
        shutil.copy(empty_database(), database)


def _migrate(database: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = AirflowHome(path=Path(folder, "airflow"), port=0)
        with home.created():
            run = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=home.environment(),
            )
        assert run.returncode == 0, run.stdout
        made = database.with_suffix(".new")
        shutil.copy(home.path / "airflow.db", made)
        made.replace(database)
