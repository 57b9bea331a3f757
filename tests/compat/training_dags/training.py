"""A deferrable processing job of ours, and after it the amazon provider's deferrable training and processing jobs."""

import os

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator, SageMakerTrainingOperator
from airflow.sdk import DAG

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1"
MODEL = "{{ ti.xcom_pull('train')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}"


def after_a_look(kind: str, command: str) -> list[str]:
    """Return the entrypoint of a job that goes on until its trigger has looked at it."""
    return ["sh", "-c", f"until test -e {os.environ.get('LOOKED', '')}/{kind}; do sleep 0.1; done; {command}"]


with DAG("training", schedule=None):
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        role="SageMakerRole",
        image_uri=IMAGE,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        code="script.py",
        outputs=[ProcessingOutput("/opt/ml/processing/output", output_name="train")],
        deferrable=True,
        poll_interval=1,
    )
    source = {"S3DataType": "S3Prefix", "S3Uri": preprocess.output["train"]}
    train = SageMakerTrainingOperator(
        task_id="train",
        config={
            "TrainingJobName": "model",
            "RoleArn": "SageMakerRole",
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": after_a_look("Training", "cp /opt/ml/input/data/train/* /opt/ml/model/"),
            },
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": "{{ ti.xcom_pull('preprocess', key='train') }}-model"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
        deferrable=True,
        check_interval=1,
        print_log=False,
        check_if_job_exists=False,
    )
    evaluate = SageMakerProcessingOperator(
        task_id="evaluate",
        config={
            "ProcessingJobName": "evaluation",
            "RoleArn": "SageMakerRole",
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": after_a_look("Processing", "tar -tzf /opt/ml/processing/model/model.tar.gz"),
            },
            "ProcessingInputs": [
                {
                    "InputName": "model",
                    "S3Input": {
                        "S3Uri": MODEL,
                        "LocalPath": "/opt/ml/processing/model",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
            },
        },
        deferrable=True,
        check_interval=1,
        print_log=False,
    )
    train >> evaluate
