"""The oldest Airflow that we support hides what a job was given in secret, too."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
WORD = "canary-of-the-oldest"


@pytest.fixture(scope="module")
def home(oldest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of an Airflow in which `airflow dags test` has run the DAG; what it printed is in the file `log`."""
    home = tmp_path_factory.mktemp("oldest")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "secret_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW_VAR_TOLD": WORD,
    }
    with LocalSageMaker(stop_grace=5) as sagemaker:
        environment = os.environ | settings | sagemaker.environment()
        subprocess.run([oldest / "airflow", "db", "migrate"], check=True, capture_output=True, env=environment)
        with (home / "log").open("w") as file:
            command = [oldest / "airflow", "dags", "test", "secret"]
            subprocess.run(command, check=False, stdout=file, stderr=subprocess.STDOUT, env=environment, timeout=240)
        yield home


def test_lines_and_errors_are_shown_without_it(home: Path):
    log = (home / "log").read_text()
    assert log.count("Z told: ***") >= 2
    assert log.count("ExitMessage: ***") >= 2


def test_it_is_in_no_file_and_no_row(home: Path):
    found = [path.name for path in home.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]
    assert found == []


def test_the_rendered_template_has_stars(home: Path):
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        rows = database.execute("SELECT rendered_fields FROM rendered_task_instance_fields").fetchall()
    assert ['"TOLD": "***"' in fields for (fields,) in rows] == [True, True]
