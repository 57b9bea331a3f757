"""A DAG that runs when a job of `test_asset_watcher.py` has completed."""

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_sm_processing import CompletedJobsTrigger

WATCHED = Asset(
    "watched_jobs",
    watchers=[
        AssetWatcher(
            name="watched",
            trigger=CompletedJobsTrigger(job_name_prefix="watched-", tags={"for": None}, poll_interval=1),
        )
    ],
)


@task
def job_names(triggering_asset_events=None):
    return [event.extra["payload"]["job_name"] for event in triggering_asset_events[WATCHED]]


@dag(dag_id="watched", schedule=[WATCHED], catchup=False)
def watched():
    job_names()


watched()
