"""An Airflow that shares nothing with the user's own: home folder, database, configuration, environment, keys."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from demo.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLES = CHECKOUT / "dags_examples"

_LOCAL_SETTINGS = Path(__file__).with_name("airflow_local_settings.py")
# All that Airflow gets of the caller's environment. HOME isn't in it: ~/.aws, ~/airflow and ~/.config stay unread.
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TERM", "TMPDIR", "TZ")
# What makes tasks start soon on a small machine: fewer idle seconds and processes than production wants.
_BRISK = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    # So long may a supervisor fail to notice that its task's process has ended.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}
_WRITABLE_WITHIN_SECONDS = 3.0
# On a machine that is busy with other things, the API server may take longer than the default 5 seconds.
_PATIENT = {"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30"}


class HomeInUseError(Exception):
    """Another process uses the same Airflow home."""


@dataclass(frozen=True, kw_only=True)
class AirflowHome:
    """A fresh Airflow home in `path`, for an API server on `port` of loopback."""

    path: Path
    port: int
    dags: Path = EXAMPLES
    extra: Mapping[str, str] = field(default_factory=dict)
    """More environment for all of Airflow's processes, such as the local SageMaker's."""
    _secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def created(self) -> Iterator[None]:
        """Make the folder anew, and keep it for this process until the block's end.

        What an earlier run left is removed; what this one makes stays, to be looked at.

        Raises:
            HomeInUseError: Another process has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HomeInUseError(f"Another process uses {self.path}: end it first.") from error
            if self.path.exists():
                shutil.rmtree(self.path)
            for folder in (self.path, self._user_home, self.path / "config"):
                folder.mkdir(mode=0o700)
            shutil.copy(_LOCAL_SETTINGS, self.path / "config")
            yield

    @property
    def _user_home(self) -> Path:
        return self.path / "user"

    @property
    def database(self) -> Path:
        """The SQLite database, unless `extra` names another."""
        return self.path / "airflow.db"

    def use_write_ahead_log(self) -> None:
        """Switch the new SQLite database to its write-ahead log: readers and the writer don't wait for each other."""
        with closing(sqlite3.connect(self.database)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # kept in the file, for all processes that open it

    def is_writable(self) -> bool:
        """Return whether the SQLite database can be written to within some seconds."""
        with closing(sqlite3.connect(self.database, timeout=_WRITABLE_WITHIN_SECONDS)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # a process holds the lock
                return False
        return True

    def environment(self) -> dict[str, str]:
        """Return the whole environment of Airflow's processes."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, **self._system(), **self._airflow(), **_BRISK, **_PATIENT, **self.extra}

    def _system(self) -> dict[str, str]:
        binaries = Path(sys.executable).parent
        return {
            "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._user_home),
            "NO_PROXY": "*",
        }

    def _airflow(self) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": self._secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            # By default, all Airflows of a machine share one folder in /tmp.
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.path / "dag_bundles"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            # No bound: requests that wait for the one write lock would use up all connections, and the one that has the
            # lock would wait for a second connection.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "-1",
        }
