"""Airflow's local executor, which imports first what each task would import: most of a short task's CPU time."""

from __future__ import annotations

from importlib import import_module

import boto3
from airflow.executors.local_executor import LocalExecutor

from tests.service_models import share_service_models

_MODULES = (
    "airflow.providers.amazon.aws.assets.s3",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.amazon.aws.operators.sagemaker",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.execution_time.task_runner",
    "airflow_sm_processing.decorators.operator",
    "airflow_sm_processing.hooks.processing",
    "airflow_sm_processing.operators.job_run",
    "airflow_sm_processing.processing.uploads.transfer",
    "airflow_sm_processing.sensors.processing",
    "airflow_sm_processing.triggers.processing",
    "platformdirs",
    "s3transfer.manager",
)
_SERVICES = ("iam", "logs", "s3", "sagemaker", "sts")


class PreloadingExecutor(LocalExecutor):
    """Forks the tasks' processes when it has loaded what they need."""

    def start(self) -> None:
        """Load modules and the descriptions of AWS's services before the first fork."""
        for module in _MODULES:
            import_module(module)
        share_service_models()
        session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")
        for service in _SERVICES:
            session.client(service)
        super().start()
