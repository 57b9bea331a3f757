"""Fifty deferred jobs, of one host and of two, that write numbered lines until the gate of the run's conf is open."""

from airflow.sdk import dag

from airflow_sm_processing import ScriptProcessingOperator

JOBS_BY_HOSTS = {1: 40, 2: 10}


@dag(schedule=None, max_active_tasks=6)  # starting tasks leave the triggerers some of the machine
def crowd():
    for hosts, jobs in JOBS_BY_HOSTS.items():
        ScriptProcessingOperator.partial(
            task_id=f"on_{hosts}",
            base_job_name="crowd",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=hosts,
            instance_type="ml.m5.large",
            code="scripts/waits_at_gate.py",
            arguments=["{{ dag_run.conf['gate'] }}"],
            poll_interval=2,
            deferrable=True,
            end_from_trigger=hosts == 1,
        ).expand(env=[{"NUMBER": str(number)} for number in range(jobs)])


crowd()
