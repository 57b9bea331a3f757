"""The oldest Airflow that we support, in an environment of its own: real runs, since its own API is what differs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def log(oldest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
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
        subprocess.run([oldest / "airflow", "db", "migrate"], check=True, capture_output=True, env=environment)
        with (home / "log").open("w") as file:
            command = [oldest / "airflow", "dags", "test", "oldest"]
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
    ],
)
def test_its_log_says_what_happened(log: str, text: str):
    assert text in log
