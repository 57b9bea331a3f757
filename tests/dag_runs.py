"""DAG runs by Airflow's own `dags test`, triggers included, in the database of this process's Airflow home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.airflow_database import ensure_database
from tests.service_models import share_service_models
from tests.time_limits import HANGS_AFTER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT = Path(__file__).parents[1]
_TASK_STARTS = re.compile(r"\[DAG TEST\] starting task_id=(\S+) map_index=(-?\d+)")


@dataclass(frozen=True)
class Run:
    """What a DAG run left behind; mapped tasks are called `task[index]`."""

    states: dict[str, str]
    tries: dict[str, int]
    xcoms: dict[str, dict[str, Any]]
    output: str
    """What the run printed."""

    @cached_property
    def logs(self) -> dict[str, str]:
        """What each task printed: they run one after the other."""
        marks = list(_TASK_STARTS.finditer(self.output))
        ends = [mark.start() for mark in marks[1:]] + [len(self.output)]
        logs: dict[str, str] = {}
        for mark, end in zip(marks, ends, strict=True):
            name = _name(mark[1], int(mark[2]))
            logs[name] = logs.get(name, "") + self.output[mark.end() : end]
        return logs


def run_dag(dag_id: str, dags: Path, environment: Mapping[str, str]) -> Run:
    """Run a DAG of a folder to its end."""
    ensure_database()
    command = [sys.executable, "-m", "tests.dag_runs"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        settings = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        try:
            run_dags_test(command, dag_id, log=log, environment={**settings, **environment})
        finally:
            output = log.read_text()
            print(output)  # pytest shows it if the test fails
    assert "DagRun Finished" in output
    return _read(dag_id, output)


def run_dags_test(command: Sequence[str], dag_id: str, *, log: Path, environment: Mapping[str, str]) -> None:
    """Run `dags test` with any Airflow's `airflow` command, and write its output to the log as it runs.

    The output isn't piped: a process left behind would keep the pipe open.
    """
    with log.open("w") as file:
        subprocess.run(
            [*command, "dags", "test", dag_id],
            check=False,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment),
            cwd=_ROOT,
            timeout=HANGS_AFTER_SECONDS,
        )


def _read(dag_id: str, output: str) -> Run:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).all()
        states = {_name(item.task_id, item.map_index): str(item.state) for item in instances}
        tries = {_name(item.task_id, item.map_index): item.try_number for item in instances}
        xcoms: dict[str, dict[str, Any]] = {}
        for xcom in session.scalars(select(XComModel).where(XComModel.dag_id == dag_id)):
            xcoms.setdefault(_name(xcom.task_id, xcom.map_index), {})[xcom.key] = XComModel.deserialize_value(xcom)
    return Run(states, tries, xcoms, output)


def _name(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _airflow_command() -> None:
    """Run the `airflow` command with service models shared.

    `dags test` runs all tasks in one process, each with its own session of boto3.
    """
    from airflow.__main__ import main

    share_service_models()
    main()


if __name__ == "__main__":
    _airflow_command()
