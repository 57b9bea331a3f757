"""A job that waits at its own gate, of a task that waits for it in a worker or deferred: the amazon provider's.

The script is in S3 already, as the operator's users put it there; only the DAGs that are about uploading do it by
the operator's own `S3Operations`.
"""

from datetime import timedelta
from pathlib import Path

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
from airflow.sdk import dag

TIME_TO_WAIT = timedelta(minutes=4)  # a busy machine took 90 seconds of it to get the task to wait
SCRIPT = Path(__file__).parents[1] / "waits_at_own_gate.py"
NAME, GATES = "{{ dag_run.conf['name'] }}", "{{ dag_run.conf['gates'] }}"
CODE, RESULT = "/opt/ml/processing/input/code", "/opt/ml/processing/result"


def config(*, uploads):
    key = f"{NAME}/{SCRIPT.name}" if uploads else SCRIPT.name
    upload = {"S3Upload": [{"Bucket": "matrix", "Path": str(SCRIPT), "Key": key, "Tar": False}]}
    return {
        "ProcessingJobName": NAME,
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
        "AppSpecification": {
            "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            "ContainerEntrypoint": ["python3", f"{CODE}/{SCRIPT.name}"],
            "ContainerArguments": [GATES],
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
        },
        "ProcessingInputs": [
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": f"s3://matrix/{key}",
                    "LocalPath": CODE,
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {
                        "S3Uri": f"s3://matrix/{NAME}/result",
                        "LocalPath": RESULT,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        **({"S3Operations": upload} if uploads else {}),
    }


def matrix(mode, kind, *, dagrun_timeout=None, uploads=False, **options):
    @dag(
        dag_id=f"matrix_{mode}{kind}",
        schedule=None,
        max_active_runs=64,
        max_active_tasks=64,
        dagrun_timeout=dagrun_timeout,
    )
    def definition():
        SageMakerProcessingOperator(
            task_id="job",
            config=config(uploads=uploads),
            aws_conn_id="{{ dag_run.conf['connection'] }}",
            check_interval=1,
            max_attempts=10_000,
            retry_delay=timedelta(seconds=1),
            deferrable=mode == "deferred",
            **options,
        )

    definition()


for mode in ("in_worker", "deferred"):
    matrix(mode, "", retries=1)
    matrix(mode, "_uploading", retries=1, uploads=True)
    matrix(mode, "_once", retries=0)
    matrix(mode, "_execution_timeout", retries=0, execution_timeout=TIME_TO_WAIT)
    matrix(mode, "_dagrun_timeout", retries=0, dagrun_timeout=TIME_TO_WAIT)
