"""One stack as in production, with the local SageMaker, for the whole tier."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_home import EXAMPLES, AirflowHome
from demo.ports import free_port
from tests.acceptance.runs import Gate
from tests.compat.environments import ROOT, environment

from .stack import ProductionAirflow, production_airflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SCRIPTS = ROOT / "tests" / "acceptance" / "dags" / "scripts"
BESIDE = (
    "apache-airflow-providers-celery",
    "apache-airflow-providers-git",
    "apache-airflow-providers-postgres",
    "celery[redis]",
    "psycopg2-binary",
)
"""What this stack needs beside the package."""
DAG_IDS = ("sm_training", "thirty", "cleared", "on_first", "on_second", "versions")


@dataclass(frozen=True)
class Repository:
    """A git repository of DAG files."""

    path: Path

    @classmethod
    def of(cls, path: Path, *folders: Path) -> Repository:
        """Commit what is in folders to a repository of its own."""
        for folder in folders:
            shutil.copytree(folder, path / (folder.name if folder == SCRIPTS else ""), dirs_exist_ok=True)
        repository = cls(path)
        repository._git("init", "--quiet", "--initial-branch=main")
        repository.commit("Begin")
        return repository

    def commit(self, message: str) -> str:
        """Commit what has changed, and return the commit's hash."""
        self._git("add", "--all")
        author = ("-c", "user.name=Author", "-c", "user.email=author@example.com")
        self._git(*author, "commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
        return subprocess.check_output(["git", "-C", self.path, *arguments], env=settings, text=True)


@pytest.fixture(scope="session")
def sagemaker() -> Iterator[LocalSageMaker]:
    with LocalSageMaker(stop_grace=5, max_jobs=100) as server:
        yield server


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository of the tier's own DAGs."""
    return Repository.of(tmp_path_factory.mktemp("repository"), HERE / "dags", SCRIPTS)


@pytest.fixture(scope="session")
def airflow(
    sagemaker: LocalSageMaker, repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductionAirflow]:
    """The stack, with its DAGs from git and the examples from a folder."""
    constraints = ROOT / "constraints.txt"
    package = ("--constraint", constraints, "--editable", f"{ROOT}[crt,local]", *BESIDE)
    commands = environment("production", *package, wanted=constraints)
    bundles = [
        {
            "name": "examples",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(EXAMPLES)},
        },
        {
            "name": "versioned",
            "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
            "kwargs": {"repo_url": str(repository.path), "tracking_ref": "main", "refresh_interval": 10},
        },
    ]
    home = AirflowHome(
        path=tmp_path_factory.mktemp("production") / "airflow",
        port=free_port(),
        extra={
            **sagemaker.environment(),
            "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
        },
    )
    with production_airflow(home) as running:
        running.wait_for_dags(*DAG_IDS)
        yield running


@pytest.fixture(scope="session")
def gate_factory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Gate]:
    """Makes gates, closed."""
    return lambda: Gate(tmp_path_factory.mktemp("gate") / "open")
