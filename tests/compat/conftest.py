"""The Airflows that we support besides the newest, each in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session", params=["3.1", "3.2"])
def commands(request: pytest.FixtureRequest) -> Path:
    """The folder of the version's commands."""
    constraints = HERE / f"airflow-{request.param}-constraints.txt"
    environment = ROOT / f".venv-airflow-{request.param}"
    stamp = environment / ".installed"
    wanted = (constraints, ROOT / "pyproject.toml")  # the latter has the entry points
    if not stamp.exists() or any(stamp.stat().st_mtime < file.stat().st_mtime for file in wanted):
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", environment / "bin" / "python"]
        airflow = f"apache-airflow=={request.param}.*"
        subprocess.run([*install, "--constraint", constraints, "--editable", ROOT, airflow], check=True)
        stamp.touch()
    return environment / "bin"
