"""A deferrable processing job, and after it the amazon provider's deferrable training job."""

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.sdk import DAG

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator

with DAG("training", schedule=None):
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        role="SageMakerRole",
        image_uri="image",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        code="script.py",
        outputs=[ProcessingOutput("/opt/ml/processing/output", output_name="train")],
        deferrable=True,
        poll_interval=1,
    )
    source = {"S3DataType": "S3Prefix", "S3Uri": preprocess.output["train"]}
    SageMakerTrainingOperator(
        task_id="train",
        aws_conn_id="trainer",
        config={
            "TrainingJobName": "model",
            "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
            "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": "s3://models/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
        deferrable=True,
        check_interval=1,
        print_log=False,
        check_if_job_exists=False,
    )
