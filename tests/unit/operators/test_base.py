"""How the operators are built: few classes, public seams, and nothing loaded that only a run needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.sdk import BaseOperator

from airflow_sm_processing import (
    ProcessingJobSensor,
    ProcessingOperator,
    ScriptProcessingOperator,
    SparkProcessingOperator,
)
from airflow_sm_processing.decorators.operator import FunctionProcessingOperator

LOADED = """
import json, sys
from airflow_sm_processing.operators.processing import ScriptProcessingOperator
print(json.dumps([name for name in sys.modules if name.startswith("airflow_sm_processing.")]))
"""


def own_classes(operator: type[BaseOperator]) -> list[str]:
    return [cls.__name__ for cls in operator.__mro__ if is_own(cls)]


def is_own(cls: type) -> bool:
    return cls.__module__.startswith("airflow_sm_processing")


@pytest.mark.parametrize(
    ("operator", "classes"),
    [
        (ProcessingOperator, ["ProcessingOperator", "BaseProcessingOperator"]),
        (ScriptProcessingOperator, ["ScriptProcessingOperator", "BaseProcessingOperator"]),
        (SparkProcessingOperator, ["SparkProcessingOperator", "BaseProcessingOperator"]),
        (
            FunctionProcessingOperator,
            ["FunctionProcessingOperator", "ScriptProcessingOperator", "BaseProcessingOperator"],
        ),
        (ProcessingJobSensor, ["ProcessingJobSensor"]),
    ],
)
def test_an_operator_is_few_classes(operator: type[BaseOperator], classes: list[str]) -> None:
    assert own_classes(operator) == classes


@pytest.mark.parametrize(
    "operator", [FunctionProcessingOperator, ScriptProcessingOperator, SparkProcessingOperator, ProcessingOperator]
)
def test_an_operator_overrides_public_names_only(operator: type[BaseOperator]) -> None:
    of_bases = {name for cls in operator.__mro__[1:] if is_own(cls) for name in private(cls)}
    assert not private(operator) & of_bases


def private(cls: type) -> set[str]:
    """Return a class's own private names, without those that Python and Airflow store in every class."""
    mangled = tuple(f"_{base.__name__}__" for base in BaseOperator.__mro__)  # such as a cache of fields to serialize
    others = {"_abc_impl"}
    return {
        name
        for name in vars(cls).keys() - others
        if name.startswith("_") and not name.endswith("__") and not name.startswith(mangled)
    }


def test_a_dag_file_loads_nothing_that_only_a_run_needs() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    loaded = {name.removeprefix("airflow_sm_processing.") for name in json.loads(run.stdout)}
    operators = {name.removeprefix("operators.") for name in loaded if name.startswith("operators.")}
    assert operators == {
        "base",
        "parameters",
        "processing",
        "outputs",
        "templating",
    }
    assert {name.partition(".")[0] for name in loaded} & {
        "hooks",
        "metrics",
        "ownership",
        "triggers",
        "watcher",
    } == set()
