"""A function runs in its container with what it is called with, and what it returns is the task's result."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

from airflow.sdk import task

from airflow_sm_processing.decorators import sm_processing_task


def test_it_runs_elsewhere_and_returns(dag, on_sagemaker, result_of):
    @task.sm_processing(**on_sagemaker)
    def describe(first: SomeType, *rest, flag: bool = False, **options) -> NotThere:  # noqa: F821
        """The type hints are of no module that is there."""
        import pathlib
        import sys

        return {
            "values": [first, list(rest), flag, options],
            "airflow": "airflow" in sys.modules,
            "elsewhere": str(pathlib.Path.cwd()),
        }

    result = result_of(describe(1, "two", 3.0, flag=True, name="ä"))
    assert result["values"] == [1, ["two", 3.0], True, {"name": "ä"}]
    assert (result["airflow"], result["elsewhere"].endswith("/work")) == (False, True)


def test_values_arrive_exactly(dag, on_sagemaker, result_of):
    @sm_processing_task(**on_sagemaker)
    def kinds(values, default=(1, 2)):
        return [repr(value) for value in [*values, default]]

    values = [
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.timezone.utc),
        dt.date(2026, 1, 2),
        dt.time(1, 2, 3),
        dt.timedelta(-1, 5, 7),
        decimal.Decimal("1.50"),
        b"\x00\xff",
        uuid.UUID(int=7),
        (1, (2,)),
        frozenset({"a"}),
        {1: "one", (2, 3): None},
        {"$": "dollar"},
        float("inf"),
        10**30,
        None,
    ]
    assert result_of(kinds(values)) == [repr(value) for value in [*values, (1, 2)]]
