"""Any image with Python 3.8 or newer will do, and requirements are installed into it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import task

from airflow_sm_processing import ProcessingInput
from tests.wheels import TINY_WHEEL, make_tiny_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of the project `sm-tiny`, version 1.0: what an index would have."""
    folder = tmp_path_factory.mktemp("wheels")
    make_tiny_wheel(folder)
    return folder


def without_index(wheels: Path) -> dict[str, object]:
    """Have pip take what it installs from a folder that is an input of the job."""
    return {
        "inputs": [ProcessingInput(str(wheels), "/opt/ml/processing/wheels")],
        "env": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/ml/processing/wheels"},
        "mask_env": False,
    }


def test_python_3_8_runs_a_function(dag, on_sagemaker, result_of, python38):
    @task.sm_processing(**on_sagemaker | {"python": python38})
    def version(path: str | None, *, when: dict[str, int] = None) -> list[int]:  # noqa: RUF013
        import sys

        return [path, when, list(sys.version_info[:2])]

    assert result_of(version("a", when={"b": 1})) == ["a", {"b": 1}, [3, 8]]


def test_requirements_are_installed_first(dag, on_sagemaker, result_of, wheels):
    @task.sm_processing(
        requirements=["sm-tiny == {{ 1.0 }}"], **on_sagemaker | {"python": "python3"}, **without_index(wheels)
    )
    def size():
        import sm_tiny

        return sm_tiny.SIZE

    assert result_of(size()) == "tiny"
    assert "sm_tiny" not in sys.modules


def test_a_requirement_may_be_a_file_of_the_container(dag, on_sagemaker, result_of, wheels):
    wheel = f"/opt/ml/processing/wheels/{TINY_WHEEL}"

    @task.sm_processing(requirements=[wheel], **on_sagemaker | {"python": "python3"}, **without_index(wheels))
    def size():
        import sm_tiny

        return sm_tiny.SIZE

    assert result_of(size()) == "tiny"


def test_requirements_that_cant_be_installed_fail_the_task(dag, on_sagemaker, runner, wheels):
    @task.sm_processing(requirements=["sm-tiny==2"], **on_sagemaker | {"python": "python3"}, **without_index(wheels))
    def size():
        return "never"

    error = runner.run(size().operator).error
    assert error.raised.type == "RequirementsError"
    assert "pip could not install the requirements (exit code 1):" in str(error)
    assert "No matching distribution found for sm-tiny==2" in str(error)
