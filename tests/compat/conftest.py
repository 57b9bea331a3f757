"""The Airflows that we support besides the newest, each in an environment of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .environments import HERE, ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session", params=["3.1", "3.2"])
def commands(request: pytest.FixtureRequest) -> Path:
    """The folder of the version's commands."""
    constraints = HERE / f"airflow-{request.param}-constraints.txt"
    airflow = f"apache-airflow=={request.param}.*"
    return environment(
        f"airflow-{request.param}", "--constraint", constraints, "--editable", ROOT, airflow, wanted=constraints
    )
