"""The ways in which a task's job ends, once with the wait in a worker and once deferred.

No deferral is short: Airflow 3.3.2 may fail one whose trigger fires before its scheduler has noticed the deferral
(https://github.com/apache/airflow/issues/67287).
"""

from datetime import timedelta

from airflow.sdk import dag

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator


def ends(dag_id, *, deferrable):
    def job(task_id, script, **options):
        ScriptProcessingOperator(
            task_id=task_id,
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=1,
            instance_type="ml.m5.large",
            code=f"scripts/{script}.py",
            base_job_name=f"{dag_id}-{task_id}",  # tasks start together: names of one millisecond must differ
            outputs=[ProcessingOutput(source="/opt/ml/processing/result", output_name="result")],
            poll_interval=1,
            deferrable=deferrable,
            **options,
        )

    @dag(dag_id=dag_id, schedule=None)
    def definition():
        job("completes", "completes")
        job("fails", "fails")
        job("is_marked_failed", "runs_on")
        job("exceeds_max_wait", "runs_on", max_wait=15)
        job("exceeds_execution_timeout", "runs_on", execution_timeout=timedelta(seconds=30))

    definition()


ends("ends_in_worker", deferrable=False)
ends("ends_deferred", deferrable=True)
