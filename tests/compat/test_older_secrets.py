"""Older Airflows hide what a job was given in secret, too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from .dag_tested import dag_tested

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORD = "canary-of-the-older"


@pytest.fixture(scope="module")
def home(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of an Airflow in which `airflow dags test` has run the DAG; what it printed is in the file `log`."""
    home = tmp_path_factory.mktemp("older")
    with dag_tested(commands, home, dags="secret_dags", dag_id="secret", AIRFLOW_VAR_TOLD=WORD):
        yield home


def test_lines_and_errors_are_shown_without_it(home: Path):
    log = (home / "log").read_text()
    assert log.count("] told: ***") >= 2
    assert log.count("ExitMessage: ***") >= 2


def test_it_is_in_no_file_and_no_row(home: Path):
    found = [path.name for path in home.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]
    assert found == []


def test_the_rendered_template_has_stars(home: Path):
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        rows = database.execute("SELECT rendered_fields FROM rendered_task_instance_fields").fetchall()
    assert ['"TOLD": "***"' in fields for (fields,) in rows] == [True, True]
