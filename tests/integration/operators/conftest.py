"""Real Airflow on a database of its own (`airflow dags test`), against the local SageMaker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_database import ensure_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker

_TASK_STARTS = re.compile(r"\[DAG TEST\] starting task_id=(\S+) map_index=(-?\d+)")


@dataclass(frozen=True)
class Run:
    """What a DAG run left behind; mapped tasks are called `task[index]`."""

    states: dict[str, str]
    tries: dict[str, int]
    xcoms: dict[str, dict[str, Any]]
    logs: dict[str, str]


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """The database of the test process's Airflow home."""
    ensure_database()


@pytest.fixture(scope="session")
def run_dag(
    airflow_database: None, sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Run]:
    """Runs a DAG of the folder `dags` to its end, triggers included."""

    def run(dag_id: str) -> Run:
        log = tmp_path_factory.mktemp(dag_id) / "log"
        with log.open("w") as file:
            subprocess.run(
                [sys.executable, "-m", "airflow", "dags", "test", dag_id],
                check=False,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | sagemaker.environment(),
                timeout=270,
            )
        output = log.read_text()
        assert "DagRun Finished" in output, output
        return _read_run(dag_id, output)

    return run


def _read_run(dag_id: str, output: str) -> Run:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).all()
        states = {_name(item): str(item.state) for item in instances}
        tries = {_name(item): item.try_number for item in instances}
        xcoms: dict[str, dict[str, Any]] = {}
        for xcom in session.scalars(select(XComModel).where(XComModel.dag_id == dag_id)):
            xcoms.setdefault(_name(xcom), {})[xcom.key] = XComModel.deserialize_value(xcom)
    return Run(states=states, tries=tries, xcoms=xcoms, logs=_logs_by_task(output))


def _logs_by_task(output: str) -> dict[str, str]:
    """Split what `dags test` prints: it runs the tasks one after the other."""
    marks = list(_TASK_STARTS.finditer(output))
    ends = [mark.start() for mark in marks[1:]] + [len(output)]
    logs: dict[str, str] = {}
    for mark, end in zip(marks, ends, strict=True):
        name = mark[1] if mark[2] == "-1" else f"{mark[1]}[{mark[2]}]"
        logs[name] = logs.get(name, "") + output[mark.end() : end]
    return logs


def _name(item: Any) -> str:
    return item.task_id if item.map_index < 0 else f"{item.task_id}[{item.map_index}]"
