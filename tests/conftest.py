"""A separate Airflow home for the test process, set before anything imports Airflow, and fixtures for all tiers."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

    from tests.task_runner import Runner

# By Python's default of 700, a twelfth of the tests' CPU time is the garbage collector's, which looks through all that
# the imports bring, again and again.
gc.set_threshold(50_000)

_home = tempfile.mkdtemp(prefix="airflow-sm-processing-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH"] = f"{_home}/dag_bundles"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_home}/airflow.db"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent / "integration" / "operators" / "dags")
# No scheduler, which a task that resumes at once would outrun, is there; a test that starts one says otherwise.
os.environ["AIRFLOW__SM_PROCESSING__SHORTEST_DEFERRAL"] = "0"


@pytest.fixture(scope="session", autouse=True)
def service_models_parsed_once() -> None:
    from tests.service_models import share_service_models

    share_service_models()


@pytest.fixture
def dag() -> Iterator[DAG]:
    """The DAG of the tasks that a test makes."""
    from airflow.sdk import DAG

    with DAG("a_dag", schedule=None) as dag:
        yield dag


@pytest.fixture
def runner() -> Iterator[Runner]:
    """Runs tasks in this process."""
    from tests.task_runner import Supervisor, installed

    with installed(Supervisor()) as runner:
        yield runner
