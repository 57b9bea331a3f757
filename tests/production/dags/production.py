"""Jobs that wait at the gate of the run's conf: in a worker, in a triggerer, and before one that tells its version."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_sm_processing import ScriptProcessingOperator

COMMON = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "poll_interval": 2,
    # Any of them may be in a worker that is killed.
    "retries": 2,
    "retry_delay": timedelta(seconds=1),
}
GATED = {**COMMON, "code": "scripts/waits_at_gate.py", "arguments": ["{{ dag_run.conf['gate'] }}"]}


def many(dag_id, count):
    @dag(dag_id=dag_id, schedule=None)
    def mapped():
        ScriptProcessingOperator.partial(task_id="waits", deferrable=True, end_from_trigger=True, **GATED).expand(
            env=[{"NUMBER": str(number)} for number in range(count)]
        )

    mapped()


def in_worker(queue):
    @dag(dag_id=f"on_{queue}", schedule=None)
    def alone():
        ScriptProcessingOperator(task_id="waits", queue=queue, deferrable=False, **GATED)

    alone()


@dag(schedule=None)
def versions():
    """A triggerer waits for the first job; the second one runs the script of the version that the run began with."""
    waits = ScriptProcessingOperator(task_id="waits", deferrable=True, **GATED)
    tells = ScriptProcessingOperator(task_id="tells", deferrable=False, code="scripts/version.py", **COMMON)
    waits >> tells


many("thirty", 30)
many("cleared", 8)
in_worker("first")
in_worker("second")
versions()
