"""Where `airflow-sm-local run` looks for Airflow's database, and when it does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local.cli import _has_tables, _sqlite_database, _wants_database

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.mark.parametrize(
    ("environment", "file", "found"),
    [
        ({}, None, "airflow.db"),
        ({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////data/a.db?timeout=15"}, None, "/data/a.db"),
        ({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://a:b@c/d"}, None, None),
        ({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite://"}, None, None),
        ({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "cat url"}, None, None),
        ({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET": "url"}, None, None),
        ({}, "[database]\nsql_alchemy_conn = sqlite:////data/b%%20.db\n", "/data/b%%20.db"),
        ({}, "[database]\nsql_alchemy_conn_cmd = cat url\n", None),
        ({}, "[core]\nparallelism = 4\n", "airflow.db"),
        ({}, "not a configuration\n", None),
        ({}, b"\xff\xfe", None),
    ],
)
def test_the_database_is_the_one_that_airflow_is_configured_with(
    tmp_path: Path, environment: Mapping[str, str], file: str | bytes | None, found: str | None
):
    if file is not None:
        (tmp_path / "airflow.cfg").write_bytes(file if isinstance(file, bytes) else file.encode())
    database = _sqlite_database({"AIRFLOW_HOME": str(tmp_path), **environment})
    assert database == (None if found is None else tmp_path / found)


def test_a_database_has_tables_once_a_migration_has_been_recorded(tmp_path: Path):
    database = tmp_path / "airflow.db"
    assert not _has_tables(database)
    assert not database.exists()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        assert not _has_tables(database)
        connection.execute("INSERT INTO alembic_version VALUES ('d2f4e1b3c5a7')")
        connection.commit()
    assert _has_tables(database)
    database.write_text("not a database, but long enough to be taken for one" * 100)
    assert _has_tables(database)  # left to Airflow


@pytest.mark.parametrize(
    ("command", "hinted"),
    [
        (["airflow", "dags", "test", "my_dag"], True),
        (["/opt/airflow/bin/airflow", "tasks", "list", "my_dag"], True),
        (["airflow", "db", "migrate"], False),
        (["airflow", "standalone"], False),
        (["airflow", "--help"], False),
        (["airflow"], False),
        (["python", "pipeline.py"], False),
        (["pytest"], False),
    ],
)
def test_only_airflows_commands_that_need_the_database_are_looked_at(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    hinted: bool,
):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    for name in ("AIRFLOW_CONFIG", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        monkeypatch.delenv(name, raising=False)
    assert not _wants_database(command)
    assert ("There is no Airflow database" in capsys.readouterr().err) == hinted
