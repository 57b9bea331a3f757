"""Mapped tasks: over requests, over dicts of parameters, and over something else than the request."""

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerProcessingSensor
from airflow.sdk import DAG

BASE = {
    "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
    "AppSpecification": {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/prep:7"},
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}},
}
REGIONS = ["eu", "us"]

with DAG("mapped", schedule=None) as dag:
    over_requests = SageMakerProcessingOperator.partial(task_id="over_requests", check_interval=20).expand(
        config=[{**BASE, "ProcessingJobName": f"job-{region}", "Environment": {"R": region}} for region in REGIONS]
    )
    over_two = SageMakerProcessingOperator.partial(task_id="over_two").expand(
        config=[
            {**BASE, "ProcessingJobName": "first"},
            {**BASE, "ProcessingJobName": "second-{{ ds }}", "StoppingCondition": {"MaxRuntimeInSeconds": 60}},
        ]
    )
    over_parameters = SageMakerProcessingOperator.partial(task_id="over_parameters").expand_kwargs(
        [
            {"config": {**BASE, "ProcessingJobName": "a"}, "check_interval": 5},
            {"config": {**BASE, "ProcessingJobName": "b"}, "deferrable": True},
        ]
    )
    over_connections = SageMakerProcessingOperator.partial(
        task_id="over_connections", config=BASE | {"ProcessingJobName": "same"}
    ).expand(aws_conn_id=["aws_eu", "aws_us"])
    sensed = SageMakerProcessingSensor.partial(task_id="sensed", poke_interval=20).expand(job_name=["a", "b"])
