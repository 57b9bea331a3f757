"""Wait for a job that was started elsewhere: `ProcessingJobSensor` gives its outputs to the tasks that need them.

The job is sought by the beginning of its name; the sensor may begin before it is there, and waits in the triggerer. It
never stops the job. `another_team` stands for whoever starts it: a pipeline, a notebook, another Airflow.
"""

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingJobSensor
from airflow_sm_processing.processing import ProcessingOutput, ScriptProcessor

SCRIPTS = Path(__file__).parent / "scripts"


@task
def another_team():
    from airflow_sm_processing import ProcessingHook

    processor = ScriptProcessor(
        role="SageMakerRole",
        image_uri="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        command=["python3"],
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="nightly-validation",
        sagemaker_session=ProcessingHook(aws_conn_id="aws_default").session,
    )
    processor.run(
        code=str(SCRIPTS / "cross_validate.py"),
        arguments=["--model", "linear"],
        outputs=[ProcessingOutput(source="/opt/ml/processing/metrics", output_name="metrics")],
        wait=False,
        logs=False,
    )


@task
def accuracy(metrics_uri):
    """Read what the job found."""
    from airflow_sm_processing import ProcessingHook

    place = urlsplit(f"{metrics_uri}/metrics.json")
    s3 = ProcessingHook(aws_conn_id="aws_default").session.s3_client
    return json.load(s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"])["accuracy"]


@dag(dag_id="sm_sensor", schedule=None, tags=["sagemaker", "example"], doc_md=__doc__)
def sensor():
    another_team()
    validation = ProcessingJobSensor(
        task_id="validation",
        job_name_prefix="nightly-validation-",  # since this run began to be due, unless `since` says otherwise
        deferrable=True,
        timeout=timedelta(hours=6),
    )
    accuracy(validation.output["metrics"])


sensor()
