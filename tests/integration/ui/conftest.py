"""Airflow's database with records as tasks leave them, and API servers on it."""

from __future__ import annotations

import json
import shutil
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks.recorded_jobs import TaskRow, insert
from demo.airflow_home import AirflowHome
from demo.ports import free_port
from demo.processes import Processes
from tests.airflow_database import empty_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HERE = Path(__file__).parent
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: by default, each client of httpx reads the certificates of all authorities, for 30 ms."""
ROLES = {
    "boss": "admin",
    "editor": "user",
    "viewer": "viewer",
    "limited": "user",
    "no_logs": "viewer",
    "no_xcoms": "viewer",
    "nobody": "",
}


@contextmanager
def opened(path: Path) -> Iterator[Session]:
    """Open a database, as Airflow's models aren't bound to one."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Airflow's API be imported: it loads starlette's test client, which warns of the httpx that Airflow has."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`"))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session on a database of the test's own."""
    path = tmp_path / "airflow.db"
    shutil.copy(empty_database(), path)
    with opened(path) as session:
        yield session


@dataclass(frozen=True)
class Server:
    """An API server whose users have to log in."""

    url: str
    database: Path
    log: Path
    tokens: Mapping[str, str]

    def client(self, user: str | None) -> httpx.Client:
        """Return a client that is logged in, unless `user` is None."""
        headers = {} if user is None else {"Authorization": f"Bearer {self.tokens[user]}"}
        return httpx.Client(base_url=f"{self.url}/sm-processing", headers=headers, timeout=60, verify=NO_AUTHORITIES)

    def get(self, path: str, user: str = "boss", **parameters: Any) -> Any:
        """Return the response of a route."""
        with self.client(user) as client:
            return client.get(path, params=parameters).raise_for_status().json()


@pytest.fixture(scope="session")
def server_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """A function that starts an API server on a database with these task instances."""
    folder = tmp_path_factory.mktemp("servers")
    with Processes(logs=folder / "logs") as processes:

        def start(rows: Sequence[TaskRow], *, path: str = "", **extra: str) -> Server:
            port = free_port()
            home = AirflowHome(
                path=folder / f"airflow-{port}", port=port, extra=_strict(folder / f"{port}.json") | extra
            )
            environment = home.environment() | {"AIRFLOW__API__BASE_URL": f"{home.url}{path}"}
            with home.created():
                shutil.copy(empty_database(), home.path / "airflow.db")
                with opened(home.path / "airflow.db") as session:
                    insert(session, rows)
            child = processes.start(f"api-{port}", ["airflow", "api-server", "--workers", "1"], environment)
            processes.wait_until(lambda: answers(home.url + path), within=300, what="The API server")
            tokens = {user: _token(home.url + path, user) for user in ROLES}
            return Server(home.url + path, home.path / "airflow.db", child.log, tokens)

        yield start


def _strict(passwords: Path) -> dict[str, str]:
    passwords.write_text(json.dumps({user: user for user in ROLES}))
    return {
        "PYTHONPATH": str(HERE / "auth"),
        "AIRFLOW__CORE__AUTH_MANAGER": "some_dags.SomeDagsAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in ROLES.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }


def answers(url: str) -> bool:
    """Return whether an API server is there."""
    try:
        return httpx.get(f"{url}/api/v2/version", timeout=10, verify=NO_AUTHORITIES).is_success
    except httpx.HTTPError:
        return False


def _token(url: str, user: str) -> str:
    body = {"username": user, "password": user}
    answer = httpx.post(f"{url}/auth/token", json=body, timeout=60, verify=NO_AUTHORITIES)
    token: str = answer.raise_for_status().json()["access_token"]
    return token
