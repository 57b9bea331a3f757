"""Where the listener is, and where it must not be."""

from __future__ import annotations

import pytest

from airflow_sm_processing.assets import listener
from airflow_sm_processing.assets.plugin import listeners_of


@pytest.mark.parametrize(
    ("command", "listeners"),
    [
        (["/usr/bin/airflow", "triggerer", "--skip-serve-logs"], [listener]),
        (["/usr/bin/airflow", "dag-processor"], []),
        (["/usr/bin/airflow", "scheduler", "--log-file", "triggerer"], []),
        (["-c"], []),
    ],
)
def test_only_a_triggerer_has_the_listener(command: list[str], listeners: list[object]) -> None:
    assert listeners_of(command) == listeners
