"""Run a DAG whenever a processing job completes, whoever started it: an `AssetWatcher` with `CompletedJobsTrigger`.

The asset stands for the nightly validation that another team runs as a job. Each completion is one asset event, with
the job and its outputs in it, and so this DAG runs; what completed while Airflow was away is told when it is back. The
example `sm_sensor` starts such a job.
"""

import json
from urllib.parse import urlsplit

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_sm_processing import CompletedJobsTrigger

VALIDATION = Asset(
    "nightly_validation",
    watchers=[
        AssetWatcher(
            name="completed_jobs",
            trigger=CompletedJobsTrigger(
                job_name_prefix="nightly-validation-",
            ),
        )
    ],
)


@task
def accuracies(triggering_asset_events=None):
    """Read what each job found; a run may have several events."""
    from airflow_sm_processing import ProcessingHook

    s3 = ProcessingHook(aws_conn_id="aws_default").session.s3_client
    found = {}
    for event in triggering_asset_events[VALIDATION]:
        job = event.extra["payload"]
        place = urlsplit(f"{job['outputs']['metrics']}/metrics.json")
        metrics = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"]
        found[job["job_name"]] = json.load(metrics)["accuracy"]
    return found


@dag(dag_id="sm_asset_watcher", schedule=[VALIDATION], tags=["sagemaker", "example"], doc_md=__doc__)
def asset_watcher():
    accuracies()


asset_watcher()
