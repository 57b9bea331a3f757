"""A DAG that runs when somebody's job has completed."""

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_sm_processing import CompletedJobsTrigger

TRIGGER = CompletedJobsTrigger(job_name_prefix="watched-", poll_interval=1)
WATCHED = Asset("watched_jobs", watchers=[AssetWatcher(name="watched", trigger=TRIGGER)])


@task
def job_names(triggering_asset_events=None):
    return [event.extra["payload"]["job_name"] for event in triggering_asset_events[WATCHED]]


@dag(dag_id="watching", schedule=[WATCHED], catchup=False)
def watching():
    job_names()


watching()
