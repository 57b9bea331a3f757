"""The oldest Airflow that we support, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-airflow-3.1"


@pytest.fixture(scope="session")
def oldest() -> Path:
    """The folder of the oldest version's commands."""
    constraints = HERE / "airflow-3.1-constraints.txt"
    stamp = ENVIRONMENT / ".installed"
    wanted = (constraints, ROOT / "pyproject.toml")  # the latter has the entry points
    if not stamp.exists() or any(stamp.stat().st_mtime < file.stat().st_mtime for file in wanted):
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", ENVIRONMENT / "bin" / "python"]
        subprocess.run([*install, "--constraint", constraints, "--editable", ROOT, "apache-airflow==3.1.*"], check=True)
        stamp.touch()
    return ENVIRONMENT / "bin"
