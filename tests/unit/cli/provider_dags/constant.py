"""A request that is a constant of the module, with all that a request can have."""

from datetime import datetime, timezone

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
from airflow.sdk import DAG

BUCKET = "my-data"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
CLUSTER = {
    "InstanceCount": "{{ params.count }}",
    "InstanceType": "ml.m5.xlarge",
    "VolumeSizeInGB": "30",
    "VolumeKmsKeyId": "alias/volumes",
}
CONFIG = {
    "ProcessingJobName": "nightly-prep",
    "RoleArn": ROLE,
    "AppSpecification": {
        "ImageUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/prep.py"],
        "ContainerArguments": ["--date", "{{ ds }}", "--say", 'it\'s "fine"'],
    },
    "ProcessingResources": {"ClusterConfig": CLUSTER},
    "ProcessingInputs": [
        {
            "InputName": "code",
            "S3Input": {
                "S3Uri": f"s3://{BUCKET}/code/prep.py",
                "LocalPath": "/opt/ml/processing/input/code",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        },
        {
            "InputName": "raw",
            "AppManaged": False,
            "S3Input": {
                "S3Uri": "s3://my-data/raw/{{ ds }}/",
                "LocalPath": "/opt/ml/processing/input/raw",
                "S3DataType": "ManifestFile",
                "S3InputMode": "Pipe",
                "S3DataDistributionType": "ShardedByS3Key",
                "S3CompressionType": "Gzip",
            },
        },
    ],
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "train",
                "S3Output": {
                    "S3Uri": "s3://my-data/train/{{ ds }}/",
                    "LocalPath": "/opt/ml/processing/train",
                    "S3UploadMode": "Continuous",
                },
            },
            {
                "OutputName": "metrics",
                "S3Output": {
                    "S3Uri": "s3://my-data/metrics/{{ ds }}",
                    "LocalPath": "/opt/ml/processing/metrics",
                    "S3UploadMode": "EndOfJob",
                },
            },
        ],
        "KmsKeyId": "alias/outputs",
    },
    "Environment": {"STAGE": "prod", "DAY": "{{ ds }}"},
    "NetworkConfig": {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": False,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": "3600"},
    "Tags": [{"Key": "team", "Value": "ml"}, {"Key": "run", "Value": "{{ run_id }}"}],
    "ExperimentConfig": {"ExperimentName": "nightly", "TrialName": "{{ ds }}"},
}

with DAG("constant", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), params={"count": 2}) as dag:
    prep = SageMakerProcessingOperator(
        task_id="prep",
        config=CONFIG,
        aws_conn_id="aws_ml",
        region_name="us-east-1",
        wait_for_completion=True,
        print_log=True,
        check_interval=60,
        max_attempts=90,
        max_ingestion_time=7200,
        action_if_job_exists="timestamp",
        deferrable=True,
        retries=2,
        output_files_to_xcom=[
            {"output_name": "metrics", "file_name": "report.json", "result_name": "Report"},
        ],
    )
