"""The SageMaker SDK's classes in a `@task`: for a loop whose next job depends on what the last one found.

Operators are right for a graph that is known beforehand. Here, trees are cross-validated, each twice as deep as the one
before, until a deeper one is no better: how many jobs that takes, nobody knows. `ScriptProcessor` takes the SDK's
parameters under the SDK's names, and `ProcessingHook` gives it the credentials of an Airflow connection.
"""

import json
from pathlib import Path
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.sdk import dag, task

from airflow_sm_processing.processing import ProcessingOutput, ScriptProcessor, WaitSettings

POLL_INTERVAL = float(conf.get("sm_processing", "poll_interval", fallback="") or 30)
SCRIPTS = Path(__file__).parent / "scripts"


@task
def deepest_useful_tree():
    """Give the depth beyond which the accuracy doesn't rise, and the accuracy there."""
    from airflow_sm_processing import ProcessingHook

    processor = ScriptProcessor(
        role="SageMakerRole",
        image="sklearn:1.2-1",
        command=["python3"],
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="useful-tree",
        sagemaker_session=ProcessingHook(aws_conn_id="aws_default").session,
    )
    depth, accuracy = 2, accuracy_at(2, processor)
    while (deeper := accuracy_at(depth * 2, processor)) > accuracy:
        depth, accuracy = depth * 2, deeper
    return {"depth": depth, "accuracy": accuracy}


def accuracy_at(depth, processor):
    job = processor.run(
        code="cross_validate.py",
        source_dir=str(SCRIPTS),  # goes as one archive, with the modules that the script may import
        arguments=["--model", "tree", "--max-depth", str(depth)],
        outputs=[ProcessingOutput(source="/opt/ml/processing/metrics", output_name="metrics")],
        wait=False,
        logs=False,
    )
    job.wait(settings=WaitSettings(poll_interval=POLL_INTERVAL))
    place = urlsplit(f"{job.output_uris['metrics']}/metrics.json")
    s3 = processor.sagemaker_session.s3_client
    return json.load(s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"])["accuracy"]


@dag(dag_id="sm_sdk_style", schedule=None, tags=["sagemaker", "example"], doc_md=__doc__)
def sdk_style():
    deepest_useful_tree()


sdk_style()
