"""Hand a processing job's outputs to the amazon provider's training operator.

An output's URI is a plain string in XCom, so `preprocess.output["train"]` fits wherever another operator takes an S3
URI, however deep in its configuration: here, in the channels of a training job with SageMaker's built-in XGBoost.

The local SageMaker runs processing jobs only and refuses training jobs, so `train` fails on it; the test of this
example looks at what `train` would send, its rendered `config`.
"""

import os

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator  # noqa: TID253  # it is what this file shows
from airflow.sdk import dag

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator


def channel(name, s3_uri):
    source = {"S3DataType": "S3Prefix", "S3Uri": s3_uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


@dag(
    dag_id="sm_training",
    schedule=None,
    params={"bucket": "my-models"},
    tags=["sagemaker", "example"],
    doc_md=__doc__,
)
def training():
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        role="SageMakerRole",
        image_uri="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        command=["python3"],
        instance_count=1,
        instance_type="ml.m5.large",
        poll_interval=float(os.environ.get("SM_POLL_INTERVAL", "30")),
        code="scripts/preprocess.py",
        outputs=[
            ProcessingOutput(source="/opt/ml/processing/train", output_name="train"),
            ProcessingOutput(source="/opt/ml/processing/test", output_name="test"),
        ],
    )
    SageMakerTrainingOperator(
        task_id="train",
        config={
            "TrainingJobName": "breast-cancer",
            "RoleArn": "SageMakerRole",
            "AlgorithmSpecification": {
                "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
                "TrainingInputMode": "File",
            },
            "HyperParameters": {"objective": "binary:logistic", "num_round": "50"},
            "InputDataConfig": [
                channel("train", preprocess.output["train"]),
                channel("validation", preprocess.output["test"]),
            ],
            "OutputDataConfig": {"S3OutputPath": "s3://{{ params.bucket }}/breast-cancer/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
        action_if_job_exists="timestamp",
    )


training()
