"""Wait without a worker: `deferrable=True` hands each running job to the triggerer.

A job of an hour then occupies a worker for the seconds that its submission and its end take, and the job's log lines
show in the task's log all the same. Nothing bounds the wait by itself; here `max_wait` does, and when it is over, the
job is stopped. Whoever marks the task failed, or clears it, stops the job as well.
"""

from datetime import timedelta

from airflow.sdk import dag

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator


@dag(dag_id="sm_deferrable", schedule=None, tags=["sagemaker", "example"], doc_md=__doc__)
def deferrable():
    # About as long as each other, and longer than Airflow's scheduler takes to notice the deferral: 3.3.2 may fail a
    # task whose trigger fires sooner (https://github.com/apache/airflow/issues/72716). Jobs on AWS take minutes.
    for model, repeats in {"linear": "40", "tree": "400"}.items():
        ScriptProcessingOperator(
            task_id=f"validate_{model}",
            role="SageMakerRole",
            image_uri="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            command=["python3"],
            instance_count=1,
            instance_type="ml.m5.large",
            code="scripts/cross_validate.py",
            arguments=["--model", model, "--repeats", repeats],
            outputs=[ProcessingOutput(source="/opt/ml/processing/metrics", output_name="metrics")],
            deferrable=True,
            max_wait=timedelta(hours=1),
        )


deferrable()
