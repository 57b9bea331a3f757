"""PostgreSQL and Redis: Debian's, on free ports of loopback, in a folder of their own, gone with the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from demo.ports import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.processes import Child, Processes

STARTED_WITHIN_SECONDS = 60.0
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
_DEBIANS = Path("/usr/lib/postgresql")
_USER = "postgres"
"""PostgreSQL refuses to run as root."""


class NotInstalledError(Exception):
    """This machine lacks a server."""


@contextmanager
def folder_of_servers() -> Iterator[Path]:
    """Return a folder that PostgreSQL's own user can enter, until the block's end."""
    folder = Path(tempfile.mkdtemp(prefix="production-"))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass
class Server:
    """A server that can be stopped, and started again with all that it knew."""

    name: str
    command: tuple[str, ...]
    port: int
    processes: Processes
    child: Child | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        self.child = self.processes.start(self.name, self.command, ENVIRONMENT)
        self.processes.wait_until(self._accepts, within=STARTED_WITHIN_SECONDS, what=self.name)

    def stop(self) -> None:
        """Stop it by SIGINT, for which neither waits for its clients; return when it is gone."""
        assert self.child is not None
        self.processes.stop_one(self.child)

    def _accepts(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def postgresql(folder: Path, processes: Processes) -> Server:
    """Return a PostgreSQL with an empty database `airflow` that its user `airflow` owns.

    Raises:
        NotInstalledError: Debian's package isn't there.
    """
    binaries = _newest_postgresql()
    data = folder / "postgresql"
    data.mkdir(mode=0o700)
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        as_user = ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--")
        shutil.chown(data, _USER, _USER)
    options = ("--username=airflow", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions")
    subprocess.check_output([*as_user, binaries / "initdb", "-D", data, *options], cwd=data, env=ENVIRONMENT)
    port = free_port()
    # Neither a socket file nor a flush to the disk: its data are gone with the tests.
    settings = {"listen_addresses": HOST, "port": port, "unix_socket_directories": "", "fsync": "off"}
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = Server("postgresql", (*as_user, str(binaries / "postgres"), "-D", str(data), *flags), port, processes)
    server.start()
    client = [binaries / "createdb", f"--host={HOST}", f"--port={port}", "--username=airflow", "airflow"]
    subprocess.check_call([*as_user, *client], cwd=data, env=ENVIRONMENT)
    return server


def query(server: Server, sql: str) -> str:
    """Return what PostgreSQL's own client prints of a query's answer."""
    options = ("--no-psqlrc", "--tuples-only", "--no-align", f"--host={HOST}", f"--port={server.port}")
    client = [_newest_postgresql() / "psql", *options, "--username=airflow", "--dbname=airflow", f"--command={sql}"]
    return subprocess.check_output(client, env=ENVIRONMENT, text=True).strip()


def _newest_postgresql() -> Path:
    found = sorted(_DEBIANS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise NotInstalledError("PostgreSQL isn't there: install Debian's packages postgresql and redis-server.")
    return found[-1].parent


def redis(folder: Path, processes: Processes) -> Server:
    """Return a Redis that keeps its data over a restart, as a broker in production does.

    Raises:
        NotInstalledError: Debian's package isn't there.
    """
    command = shutil.which("redis-server")
    if command is None:
        raise NotInstalledError("Redis isn't there: install Debian's packages postgresql and redis-server.")
    data = folder / "redis"
    data.mkdir(mode=0o700)
    port = free_port()
    settings = {"bind": HOST, "port": str(port), "dir": str(data), "save": "", "appendonly": "yes"}
    flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
    server = Server("redis", (command, *flags), port, processes)
    server.start()
    return server
