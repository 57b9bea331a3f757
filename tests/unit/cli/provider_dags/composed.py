"""Requests that are put together from parts, in functions and in loops."""

import copy

import airflow.providers.amazon.aws.operators.sagemaker as aws
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator as Job
from airflow.sdk import DAG, TaskGroup

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/prep:7"}
SMALL = dict(InstanceCount=1, InstanceType="ml.m5.large", VolumeSizeInGB=10)  # noqa: C408  # as people write it
BASE = {"RoleArn": ROLE, "AppSpecification": IMAGE, "ProcessingResources": {"ClusterConfig": SMALL}}
COMMON = {"check_interval": 45, "wait_for_completion": False}


def output(name):
    return f"s3://results/{name}/"


def add(region, index):
    return Job(
        task_id=f"prep_{region}",
        config={
            **BASE,
            "ProcessingJobName": f"prep-{region}",
            "Environment": {"REGION": region, "INDEX": str(index)},
            "Tags": [{"Key": "{{ params.tag }}", "Value": region}],
        },
    )


with DAG("composed", schedule=None, params={"tag": "place"}) as dag:
    for number, place in enumerate(["eu", "us"]):
        first = add(place, number)
        with TaskGroup(f"group_{place}"):
            first >> aws.SageMakerProcessingOperator(
                task_id="merge",
                config=dict(
                    BASE,
                    ProcessingJobName="merge-{{ ts_nodash }}",
                    ProcessingInputs=[
                        {
                            "InputName": name,
                            "S3Input": {
                                "S3Uri": f"s3://raw/{name}/{{{{ ds }}}}/",
                                "LocalPath": f"/opt/ml/processing/{name}",
                                "S3DataType": "S3Prefix",
                                "S3InputMode": "File",
                            },
                        }
                        for name in ("a", "b")
                    ],
                ),
                **COMMON,
            )
    last = Job(
        task_id="last",
        action_if_job_exists="fail",
        config=copy.deepcopy(BASE)
        | {
            "ProcessingJobName": "the-last-one",
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "all",
                        "S3Output": {
                            "S3Uri": output("all"),
                            "LocalPath": "/opt/ml/processing/all",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        },
    )
