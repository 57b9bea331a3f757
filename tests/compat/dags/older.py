"""What a task does on an older Airflow.

The tasks of `tells_in_…` tell the secret that their job was given, which the test plants in an Airflow variable.
"""

from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ProcessingOperator, ProcessingOutput, ScriptProcessingOperator

cluster = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "poll_interval": 1,
}
script = {
    **cluster,
    "code": "script.py",
    "outputs": [ProcessingOutput("/opt/ml/processing/output", output_name="result")],
}
TELLS = (
    "import os, time; told = os.environ['TOLD']; print('told:', told, flush=True); time.sleep(6); "
    "os.makedirs('/opt/ml/output', exist_ok=True); open('/opt/ml/output/message', 'w').write(told); 1 / 0"
)

with DAG("older", schedule=None):
    worker = ScriptProcessingOperator(task_id="worker", **script)
    source = [ProcessingInput(worker.output["result"], "/opt/ml/processing/input/data")]
    ScriptProcessingOperator(task_id="deferred", inputs=source, deferrable=True, **script)
    ScriptProcessingOperator.partial(task_id="mapped", **script).expand(inputs=[source, source])
    ScriptProcessingOperator(task_id="fails", arguments=["fail"], **script)
    ScriptProcessingOperator(task_id="rejected", job_name="{{ 'not_legal' }}", **script)
    for mode, deferrable in (("worker", False), ("deferred", True)):
        ProcessingOperator(
            task_id=f"tells_in_{mode}",
            entrypoint=["python3", "-c"],
            arguments=[TELLS],
            env={"TOLD": "{{ var.value.told }}"},
            deferrable=deferrable,
            **cluster,
        )
