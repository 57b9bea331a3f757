"""Tasks that OpenLineage is told of."""

from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ProcessingOperator, ProcessingOutput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "poll_interval": 1,
    "default_bucket": "lineage-files",
}
script = {
    "code": "scripts/writes_results.py",
    "arguments": ["well"],
    "inputs": [
        ProcessingInput("s3://lineage-raw/rows/{{ dag.dag_id }}/", "/opt/ml/processing/raw", input_name="raw"),
        ProcessingInput("scripts", "/opt/ml/processing/local", input_name="local"),
    ],
    "outputs": [
        ProcessingOutput("/opt/ml/processing/output", output_name="evaluation", destination="s3://lineage-reports/e/"),
        ProcessingOutput("/opt/ml/processing/other", output_name="other"),
    ],
}

with DAG("lineage", schedule=None):
    waits = ScriptProcessingOperator(task_id="waits", **script, **common)
    defers = ScriptProcessingOperator(task_id="defers", deferrable=True, **script, **common)
    for name, deferrable in (("fails", False), ("fails_deferred", True)):
        ProcessingOperator(
            task_id=name,
            entrypoint=["false"],
            inputs=[ProcessingInput("s3://lineage-raw", "/opt/ml/processing/raw")],
            deferrable=deferrable,
            **common,
        )
