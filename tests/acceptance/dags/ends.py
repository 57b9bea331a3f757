"""The ways in which a task's job ends: with the wait in a worker, deferred, and without a worker at the end."""

from airflow.sdk import dag

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator


def ends(dag_id, **options):
    def job(task_id):
        ScriptProcessingOperator(
            task_id=task_id,
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=1,
            instance_type="ml.m5.large",
            code=f"scripts/{task_id}.py",
            base_job_name=f"{dag_id}-{task_id}",  # tasks start together: names of one millisecond must differ
            outputs=[ProcessingOutput(source="/opt/ml/processing/result", output_name="result")],
            poll_interval=1,
            **options,
        )

    @dag(dag_id=dag_id, schedule=None)
    def definition():
        job("completes")
        job("fails")

    definition()


ends("ends_in_worker", deferrable=False)
ends("ends_deferred", deferrable=True)
ends("ends_from_trigger", deferrable=True, end_from_trigger=True)
