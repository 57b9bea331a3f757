"""Two deferred tasks whose jobs go on until they are stopped."""

from airflow.sdk import DAG

from airflow_sm_processing import ProcessingOperator

with DAG("waiting", schedule=None):
    for task_id in ("is_marked_failed", "survives"):
        ProcessingOperator(
            task_id=task_id,
            role="SageMakerRole",
            image_uri="image",
            instance_count=1,
            instance_type="ml.m5.xlarge",
            entrypoint=["python3", "-c"],
            arguments=["import time; print('a line', flush=True); time.sleep(600)"],
            deferrable=True,
            poll_interval=1,
        )
