"""Settings of an Airflow that tests start: what it does while it has nothing to do takes their processors from them."""

from __future__ import annotations

FEW_IDLE_LOOPS = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    # The DAG files of a test don't change once they are loaded.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}
"""For a scheduler and a DAG processor beside which much is waited for."""
