"""Real Airflow on a database of its own (`airflow dags test`), against the local SageMaker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import dag_runs
from tests.airflow_database import ensure_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker

_DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """The database of the test process's Airflow home."""
    ensure_database()


@pytest.fixture(scope="session")
def run_dag(sagemaker: LocalSageMaker) -> Callable[..., dag_runs.Run]:
    """Runs a DAG of the folder `dags` to its end, triggers included; keywords are Airflow's settings."""

    def run(dag_id: str, **settings: str) -> dag_runs.Run:
        return dag_runs.run_dag(dag_id, _DAGS, sagemaker.environment() | settings)

    return run
