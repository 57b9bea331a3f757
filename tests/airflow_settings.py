"""Settings of an Airflow that tests start: what it computes takes their processors from them."""

from __future__ import annotations

LIGHT_LOAD = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    # The DAG files of a test don't change once they are loaded.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__CORE__EXECUTOR": "tests.preloading_executor.PreloadingExecutor",
}
"""For an Airflow that waits for much, and runs many short tasks."""
