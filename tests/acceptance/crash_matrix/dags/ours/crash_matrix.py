"""A job that waits at its own gate, of a task that waits for it in a worker or deferred: this package's operator."""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator

TIME_TO_WAIT = timedelta(minutes=4)  # a busy machine took 90 seconds of it to get the task to wait
SCRIPT = Path(__file__).parents[1] / "waits_at_own_gate.py"


def matrix(mode, kind, *, dagrun_timeout=None, **options):
    @dag(
        dag_id=f"matrix_{mode}{kind}",
        schedule=None,
        max_active_runs=64,
        max_active_tasks=64,
        dagrun_timeout=dagrun_timeout,
    )
    def definition():
        ScriptProcessingOperator(
            task_id="job",
            base_job_name="{{ dag_run.conf['name'] }}",
            aws_conn_id="{{ dag_run.conf['connection'] }}",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            command=["python3"],
            instance_count=1,
            instance_type="ml.m5.large",
            code=str(SCRIPT),
            arguments=["{{ dag_run.conf['gates'] }}"],
            outputs=[ProcessingOutput(source="/opt/ml/processing/result", output_name="result")],
            poll_interval=1,
            retry_delay=timedelta(seconds=1),
            deferrable=mode == "deferred",
            **options,
        )

    definition()


for mode in ("in_worker", "deferred"):
    matrix(mode, "", retries=1)
    matrix(mode, "_uploading", retries=1)
    matrix(mode, "_once", retries=0)
    matrix(mode, "_execution_timeout", retries=0, execution_timeout=TIME_TO_WAIT)
    matrix(mode, "_dagrun_timeout", retries=0, dagrun_timeout=TIME_TO_WAIT)
