"""Decide by what a job has found: `result_files` reads a small file of an output into XCom.

Here two models are validated, and the better one's name goes on. Without `result_files`, the task between would have to
find the file in S3, and need the credentials to read it.
"""

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator


@task
def choose(candidates):
    best = max(candidates, key=lambda metrics: metrics["accuracy"])
    return best["model"]


@dag(dag_id="sm_result_files", schedule=None, tags=["sagemaker", "example"], doc_md=__doc__)
def result_files():
    validations = [
        ScriptProcessingOperator(
            task_id=f"validate_{model}",
            role="SageMakerRole",
            image_uri="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            command=["python3"],
            instance_count=1,
            instance_type="ml.m5.large",
            code="scripts/cross_validate.py",
            arguments=["--model", model],
            outputs=[ProcessingOutput(source="/opt/ml/processing/metrics", output_name="metrics")],
            result_files={"found": "metrics/metrics.json"},  # <output name>/<path of the file>
        )
        for model in ("linear", "tree")
    ]
    choose([validation.output["found"] for validation in validations])


result_files()
