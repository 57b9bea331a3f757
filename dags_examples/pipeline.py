"""Preprocess, train, evaluate: three jobs, chained by their outputs.

Each script reads and writes the container's folders under `/opt/ml/processing`; each `ProcessingOutput` names the S3
prefix that such a folder becomes, and `preprocess.output["train"]` refers to it. The reference alone makes `preprocess`
upstream of `train`, so no arrows are drawn below. No bucket is named either: outputs without a destination go to the
account's default bucket, `sagemaker-<region>-<account>`.

`make ui` has this DAG on the local SageMaker, `airflow dags trigger sm_pipeline` runs it on yours.
"""

from airflow.sdk import dag

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image_uri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    "command": ["python3"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}


@dag(dag_id="sm_pipeline", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def pipeline():
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        code="scripts/preprocess.py",
        arguments=["--test-size", "0.25"],
        outputs=[
            ProcessingOutput(source="/opt/ml/processing/train", output_name="train"),
            ProcessingOutput(source="/opt/ml/processing/test", output_name="test"),
        ],
    )
    train = ScriptProcessingOperator(
        task_id="train",
        code="scripts/train.py",
        arguments=["--regularisation", "1.0"],
        inputs=[ProcessingInput(source=preprocess.output["train"], destination="/opt/ml/processing/train")],
        outputs=[ProcessingOutput(source="/opt/ml/processing/model", output_name="model")],
    )
    ScriptProcessingOperator(
        task_id="evaluate",
        code="scripts/evaluate.py",
        inputs=[
            ProcessingInput(source=train.output["model"], destination="/opt/ml/processing/model"),
            ProcessingInput(source=preprocess.output["test"], destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(source="/opt/ml/processing/evaluation", output_name="evaluation")],
    )


pipeline()
