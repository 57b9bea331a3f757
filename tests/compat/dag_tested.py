"""Runs a DAG by Airflow's own `dags test`, without a scheduler."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_processing.local import LocalSageMaker
from tests.dag_runs import run_dags_test

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@contextmanager
def dag_tested(commands: Path, home: Path, *, dags: str, dag_id: str, **settings: str) -> Iterator[Path]:
    """Run a DAG to its end on a local SageMaker, which stays for the block; return the file of what was printed."""
    log = home / "log"
    airflow = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": f"{home}/dag_bundles",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    with LocalSageMaker(stop_grace=5) as sagemaker:
        environment = airflow | settings | sagemaker.environment()
        migrate = [commands / "airflow", "db", "migrate"]
        subprocess.run(migrate, check=True, capture_output=True, env=os.environ | environment)
        run_dags_test([str(commands / "airflow")], dag_id, log=log, environment=environment)
        yield log
