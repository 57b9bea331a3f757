"""A job that waits at the gate of the run's conf, of a task that starts slowly: its file is imported for seconds."""

import time

from airflow.sdk import dag

from airflow_sm_processing import ScriptProcessingOperator

time.sleep(4)


def waits(mode, *, deferrable):
    @dag(dag_id=f"waits_{mode}_slow_to_start", schedule=None)
    def slow_to_start():
        ScriptProcessingOperator(
            task_id="waits",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=1,
            instance_type="ml.m5.large",
            code="scripts/waits_at_gate.py",
            arguments=["{{ dag_run.conf['gate'] }}"],
            poll_interval=1,
            deferrable=deferrable,
        )

    slow_to_start()


waits("in_worker", deferrable=False)
waits("deferred", deferrable=True)
