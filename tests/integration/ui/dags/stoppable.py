"""Tasks whose jobs run until somebody stops them."""

from airflow.sdk import dag

from airflow_sm_processing import ScriptProcessingOperator

WAITS = {
    "in_worker": {},
    "deferred": {"deferrable": True},
    "left_running": {"deferrable": True, "stop_on_kill": False},
    "not_awaited": {"wait_for_completion": False},
}


@dag(schedule=None)
def stoppable():
    for task_id, options in WAITS.items():
        ScriptProcessingOperator(
            task_id=task_id,
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=1,
            instance_type="ml.m5.large",
            command=["python3"],
            code="scripts/waits.py",
            poll_interval=1,
            retries=0,
            **options,
        )


stoppable()
