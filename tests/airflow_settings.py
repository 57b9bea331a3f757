"""Settings with which an Airflow that tests start uses little CPU."""

from __future__ import annotations

LITTLE_CPU = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    # The DAG files of a test don't change once they are loaded.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__CORE__EXECUTOR": "tests.preloading_executor.PreloadingExecutor",
}
"""For an Airflow that waits a lot and runs many short tasks.

The demo, the compat and the production tier start their tasks without the preloading executor, as users do.
"""
