"""Jobs that no task waits for any more, and jobs that a task still waits for, in a worker and deferred.

The jobs run until they are stopped, or until the gate in the run's conf is open.
"""

from datetime import timedelta

from airflow.sdk import dag

from airflow_sm_processing import ScriptProcessingOperator


def waits(mode, *, deferrable):
    def job(task_id, **options):
        ScriptProcessingOperator(
            task_id=task_id,
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=1,
            instance_type="ml.m5.large",
            code="scripts/waits_at_gate.py",
            arguments=["{{ dag_run.conf['gate'] }}"],
            deferrable=deferrable,
            **{"poll_interval": 1, **options},
        )

    @dag(dag_id=f"waits_{mode}", schedule=None)
    def many():
        job("exceeds_max_wait", max_wait=15)
        job("exceeds_execution_timeout", execution_timeout=timedelta(minutes=1))
        job("goes_on", stop_on_kill=False)

    @dag(dag_id=f"waits_{mode}_alone", schedule=None)
    def alone():
        job("waits", poll_interval="{{ dag_run.conf.get('poll_interval', 60) }}")

    many()
    alone()


waits("in_worker", deferrable=False)
waits("deferred", deferrable=True)
