"""The oldest Airflow that we support, in an environment of its own: real runs, since its own API is what differs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-airflow-3.1"


@pytest.fixture(scope="module")
def airflow() -> Path:
    """The `airflow` command of the oldest version."""
    constraints = HERE / "airflow-3.1-constraints.txt"
    stamp = ENVIRONMENT / ".installed"
    if not stamp.exists() or stamp.stat().st_mtime < constraints.stat().st_mtime:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", ENVIRONMENT / "bin" / "python"]
        subprocess.run([*install, "--constraint", constraints, "--editable", ROOT, "apache-airflow==3.1.*"], check=True)
        stamp.touch()
    return ENVIRONMENT / "bin" / "airflow"


@pytest.fixture(scope="module")
def log(airflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `airflow dags test` of the DAG prints."""
    home = tmp_path_factory.mktemp("oldest")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    with LocalSageMaker(stop_grace=5) as sagemaker:
        environment = os.environ | settings | sagemaker.environment()
        subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True, env=environment)
        with (home / "log").open("w") as file:
            command = [airflow, "dags", "test", "oldest"]
            subprocess.run(command, check=False, stdout=file, stderr=subprocess.STDOUT, env=environment, timeout=240)
        yield (home / "log").read_text()


def test_every_task_ends_as_its_job(log: str):
    ended = re.findall(r"new_state=(success|failed)", log)
    assert sorted(ended) == ["failed", "failed", "success", "success", "success", "success"], log


@pytest.mark.parametrize(
    "text",
    [
        "JobFailedError: Processing job",
        "FailureReason: AlgorithmError: , exit code: 3",
        "TaskDefinitionError: 1 problem",
        "job_name='not_legal': must match",
        "doesn't tell triggers that a user ended their task",
    ],
)
def test_its_log_says_what_happened(log: str, text: str):
    assert text in log
