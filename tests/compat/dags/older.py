"""What a task does on an older Airflow."""

from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "image",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "code": "script.py",
    "poll_interval": 1,
    "outputs": [ProcessingOutput("/opt/ml/processing/output", output_name="result")],
}

with DAG("older", schedule=None):
    worker = ScriptProcessingOperator(task_id="worker", **common)
    source = [ProcessingInput(worker.output["result"], "/opt/ml/processing/input/data")]
    ScriptProcessingOperator(task_id="deferred", inputs=source, deferrable=True, **common)
    ScriptProcessingOperator.partial(task_id="mapped", **common).expand(inputs=[source, source])
    ScriptProcessingOperator(task_id="fails", arguments=["fail"], **common)
    ScriptProcessingOperator(task_id="rejected", job_name="{{ 'not_legal' }}", **common)
