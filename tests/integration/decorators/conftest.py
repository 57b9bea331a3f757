"""Functions as tasks of this process, on the local SageMaker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import XComArg

    from tests.task_runner import Runner


_PYTHONS_3_8 = (*Path.home().glob(".pyenv/versions/3.8.*/bin/python3"), shutil.which("python3.8"))


@pytest.fixture
def on_sagemaker(environment: None) -> dict[str, Any]:
    """The parameters that every function here needs."""
    return {
        "role": "SageMakerRole",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
        "instance_type": "ml.m5.xlarge",
        "python": sys.executable,
        "poll_interval": 0.2,
    }


@pytest.fixture
def result_of(runner: Runner) -> Callable[[XComArg], Any]:
    """Runs a task, which must succeed, and returns its result as Airflow stores it."""

    def run(made: Any, map_index: int = -1) -> Any:
        ended = runner.run(made.operator, map_index=map_index)
        assert ended.state == "success", ended.error
        return runner.supervisor.xcoms[made.operator.task_id, map_index].get("return_value")

    return run


@pytest.fixture
def python38() -> str:
    """A Python 3.8: the oldest that images are supported with."""
    found = next((str(path) for path in _PYTHONS_3_8 if path and _is_python_3_8(path)), None)
    if found is None:
        pytest.skip("there is no Python 3.8 on this machine")
    return found


def _is_python_3_8(path: str | Path) -> bool:
    """Try it: a version manager leaves commands that only say how to get one."""
    asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.startswith("Python 3.8.")
