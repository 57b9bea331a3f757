"""Jobs that are started without Airflow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

BUCKET = "watched"


class Account:
    """Starts jobs without Airflow."""

    def __init__(self, sagemaker: LocalSageMaker) -> None:
        self._client = sagemaker.client("sagemaker")
        self._account_id = sagemaker.account_id
        sagemaker.client("s3").create_bucket(Bucket=BUCKET)

    def start(
        self,
        name: str,
        *,
        seconds: float = 0.0,
        gate: Path | None = None,
        code: int = 0,
        tags: tuple[str, ...] = ("for",),
    ) -> None:
        """Start a job that ends after some seconds, or when the gate is there if it has one."""
        waits = f"time.sleep({seconds})"
        if gate is not None:
            waits = f"[time.sleep(0.1) for _ in iter(lambda: os.path.exists({str(gate)!r}), True)]"
        script = f"import os, time; {waits}; open('/opt/ml/processing/out/a', 'w').write('x'); exit({code})"
        output = {"S3Uri": f"s3://{BUCKET}/{name}", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
        self._client.create_processing_job(
            ProcessingJobName=name,
            RoleArn=f"arn:aws:iam::{self._account_id}:role/SageMakerRole",
            AppSpecification={
                "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
                "ContainerEntrypoint": [sys.executable, "-c", script],
            },
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": output}]},
            Tags=[{"Key": tag, "Value": "x"} for tag in tags],
        )

    def status(self, name: str) -> str:
        return str(self._client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])
