"""Twenty small jobs for each way to end a task; one more DAG has a job of every way, to warm up.

No deferral is short: Airflow 3.3.2 may fail one whose trigger fires before its scheduler has noticed the deferral
(https://github.com/apache/airflow/issues/72716).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_sm_processing import ScriptProcessingOperator

JOBS = 20
WAYS: dict[str, dict[str, Any]] = {
    "submits": {"deferrable": False, "wait_for_completion": False},
    "deferred": {"deferrable": True, "logs": False},
    "from_trigger": {"deferrable": True, "logs": False, "end_from_trigger": True},
    "deferred_logs": {"deferrable": True, "logs": True},
    "from_trigger_logs": {"deferrable": True, "logs": True, "end_from_trigger": True},
}


def jobs(task_id: str, count: int, **way: Any) -> None:
    ScriptProcessingOperator.partial(
        task_id=task_id,
        role="SageMakerRole",
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
        instance_count=1,
        instance_type="ml.m5.large",
        code="scripts/writes_lines.py",
        poll_interval=1,
        **way,
    ).expand(env=[{"NUMBER": str(number)} for number in range(count)])


for name, way in WAYS.items():
    with DAG(f"stays_{name}", schedule=None):
        jobs("job", JOBS, **way)

with DAG("stays_warm_up", schedule=None):
    for name, way in WAYS.items():
        jobs(name, 1, **way)
