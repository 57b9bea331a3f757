"""DAG runs of this folder's `dags` by Airflow itself (`airflow dags test`), triggers included."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.airflow_database import ensure_database

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True)
class Run:
    """What a run left behind; mapped tasks are called `task[index]`."""

    states: dict[str, str]
    xcoms: dict[str, dict[str, Any]]
    output: str


def run_dag(dag_id: str, environment: Mapping[str, str]) -> Run:
    """Run a DAG to its end, in the database of this process's Airflow home."""
    everything = os.environ | dict(environment) | {"AIRFLOW__CORE__DAGS_FOLDER": str(_DAGS)}
    airflow = [sys.executable, "-m", "airflow"]
    ensure_database()
    ended = subprocess.run(
        [*airflow, "dags", "test", dag_id],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=everything,
        timeout=500,
    )
    assert "DagRun Finished" in ended.stdout, ended.stdout
    return _read(dag_id, ended.stdout)


def _read(dag_id: str, output: str) -> Run:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).all()
        states = {_name(item): str(item.state) for item in instances}
        xcoms: dict[str, dict[str, Any]] = {}
        for xcom in session.scalars(select(XComModel).where(XComModel.dag_id == dag_id)):
            xcoms.setdefault(_name(xcom), {})[xcom.key] = XComModel.deserialize_value(xcom)
    return Run(states, xcoms, output)


def _name(item: Any) -> str:
    return item.task_id if item.map_index < 0 else f"{item.task_id}[{item.map_index}]"
