"""Small files of outputs, as values."""

from airflow.sdk import DAG, task

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "code": "scripts/writes_results.py",
    "outputs": [ProcessingOutput("/opt/ml/processing/output", output_name="evaluation")],
    "poll_interval": 1,
    "retries": 1,
}
files = {
    "metrics": "evaluation/deep/metrics.json",
    "table": "evaluation/deep/{{ params.table }}.csv",
    "note": "evaluation/deep/note.txt",
}


@task
def doubled(metrics):
    return 2 * metrics["accuracy"]


with DAG("results", schedule=None, params={"table": "rows"}):
    for mode, deferrable in (("wait", False), ("defer", True)):
        read = ScriptProcessingOperator(
            task_id=f"read_{mode}", arguments=["well"], result_files=files, deferrable=deferrable, **common
        )
    doubled(read.output["metrics"])
    ScriptProcessingOperator(
        task_id="no_worker", arguments=["well"], result_files=files, deferrable=True, end_from_trigger=True, **common
    )
    for name, argument, wanted, limit in (
        ("missing", "well", "evaluation/deep/metric.json", 1000),
        ("broken", "broken", "evaluation/deep/metrics.json", 1000),
        ("too_large", "well", "evaluation/deep/metrics.json", 10),
    ):
        ScriptProcessingOperator(
            task_id=name,
            arguments=[argument],
            result_files={"note": "evaluation/deep/note.txt", "metrics": wanted},
            max_result_file_bytes=limit,
            **common,
        )
