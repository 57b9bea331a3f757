"""Requests that only a run of the file knows."""

import json
from pathlib import Path

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
from airflow.sdk import DAG

REQUEST = {
    "ProcessingJobName": "unknown",
    "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
    "AppSpecification": {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/prep:7"},
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}},
}
REQUEST["Environment"] = {"FILE": Path(__file__).name}


def load():
    return json.loads(json.dumps(REQUEST))


if Path(__file__).exists():
    CHOSEN = {**REQUEST, "ProcessingJobName": "one"}
else:
    CHOSEN = {**REQUEST, "ProcessingJobName": "other"}

with DAG("unknown", schedule=None) as dag:
    SageMakerProcessingOperator(task_id="loaded", config=load(), check_interval=20, action_if_job_exists="fail")
    SageMakerProcessingOperator(task_id="changed", config=REQUEST)
    SageMakerProcessingOperator(task_id="chosen", config=CHOSEN, deferrable=True)
    for number in range(2):
        config = {**load(), "ProcessingJobName": f"n-{number}"}
        config["Tags"] = [{"Key": "n", "Value": str(number)}]
        SageMakerProcessingOperator(task_id=f"loop_{number}", config=config)
