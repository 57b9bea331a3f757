"""Older Airflows, in environments of their own: real runs, since their own API is what differs."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from .dag_tested import dag_tested

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "canary-of-the-older"


@pytest.fixture(scope="module")
def home(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of an Airflow in which `airflow dags test` has run the DAG; what it printed is in the file `log`."""
    home = tmp_path_factory.mktemp("older")
    with dag_tested(commands, home, dags="dags", dag_id="older", AIRFLOW_VAR_TOLD=SECRET):
        yield home


@pytest.fixture(scope="module")
def log(home: Path) -> str:
    """What the run printed."""
    return (home / "log").read_text()


def test_every_task_ends_as_its_job(log: str):
    ended = re.findall(r"new_state=(success|failed)", log)
    assert sorted(ended) == ["failed"] * 4 + ["success"] * 4, log


@pytest.mark.parametrize(
    "text",
    [
        "JobFailedError: Processing job",
        "FailureReason: AlgorithmError: , exit code: 3",
        "TaskDefinitionError: 1 problem",
        "job_name='not_legal': must match",
    ],
)
def test_its_log_says_what_happened(log: str, text: str):
    assert text in log


def test_lines_and_errors_are_shown_without_what_a_job_was_given_in_secret(log: str):
    assert log.count("] told: ***") >= 2
    assert log.count("ExitMessage: ***") >= 2


def test_the_secret_is_in_no_file_and_no_row(home: Path):
    found = [path.name for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found == []


def test_the_rendered_template_has_stars(home: Path):
    query = "SELECT rendered_fields FROM rendered_task_instance_fields WHERE task_id LIKE 'tells_in_%'"
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        rows = database.execute(query).fetchall()
    assert ['"TOLD": "***"' in fields for (fields,) in rows] == [True, True]
