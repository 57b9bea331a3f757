"""The pages' DAGs: a pipeline whose second job fails, a job that can be tried again, and jobs that keep running."""

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

COMMON = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "poll_interval": 1,
}
GATE = ["{{ dag_run.conf['gate'] }}"]


@dag(dag_id="shop_features", schedule=None, default_args=COMMON)
def features():
    clean = ScriptProcessingOperator(
        task_id="clean",
        code="scripts/clean.py",
        env={"LOCALE": "en"},
        outputs=[ProcessingOutput(source="/opt/ml/processing/orders", output_name="orders")],
    )
    join = ScriptProcessingOperator(
        task_id="join",
        code="scripts/join.py",
        inputs=[ProcessingInput(source=clean.output["orders"], destination="/opt/ml/processing/orders")],
        outputs=[ProcessingOutput(source="/opt/ml/processing/features", output_name="features")],
    )

    @task
    def publish():
        """Run no processing job: its tab says so."""

    join >> publish()


@dag(dag_id="shop_forecast", schedule=None, default_args=COMMON)
def forecast():
    ScriptProcessingOperator(
        task_id="train", code="scripts/second_time.py", arguments=GATE, retries=1, retry_delay=timedelta(seconds=1)
    )


@dag(dag_id="shop_nightly", schedule=None, default_args=COMMON)
def nightly():
    ScriptProcessingOperator(task_id="followed", code="scripts/waits_at_gate.py", arguments=GATE, deferrable=True)
    ScriptProcessingOperator(task_id="stopped", code="scripts/waits_at_gate.py", arguments=["/nowhere"])
    ScriptProcessingOperator(
        task_id="stopped_deferred", code="scripts/waits_at_gate.py", arguments=["/nowhere"], deferrable=True
    )
    ScriptProcessingOperator(task_id="raises", code="scripts/raises.py")
    ScriptProcessingOperator(task_id="rejected", code="scripts/raises.py", arguments="{{ ['x' * 300] }}")

    @task
    def nothing():
        """Run no processing job."""

    nothing()


features()
forecast()
nightly()
