"""Tasks whose job is on AWS, as far as they tell; AWS itself isn't asked for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from airflow.sdk import DAG

from airflow_sm_processing import ProcessingOperator
from airflow_sm_processing.operators.job_run import publish
from airflow_sm_processing.processing import ProcessingJob, ProcessingOutput, Session

if TYPE_CHECKING:
    from airflow.sdk import Context


COMMON = {"role": "R", "image_uri": "i", "instance_count": 1, "instance_type": "ml.m5.xlarge"}


class Submitted(ProcessingOperator):
    """Tells of a job as the operators do at its submission."""

    def execute(self, context: Context) -> None:
        session = Session(boto3.Session("AKIAMADEUP", "made-up", region_name="eu-west-1"), client_factory=self._client)
        outputs = [ProcessingOutput("/opt/ml/processing/out", "s3://results/out", "out")]
        publish(context, ProcessingJob(session, self.job_name, None, outputs))

    def _client(self, service_name: str) -> object:
        endpoint = f"https://api.{service_name}.eu-west-1.amazonaws.com"  # the tests' environment names a local one
        return boto3.Session("AKIAMADEUP", "made-up", region_name="eu-west-1").client(
            service_name, endpoint_url=endpoint
        )


class Fails(ProcessingOperator):
    """Has no job."""

    def execute(self, context: Context) -> None:
        raise RuntimeError("no job")


with DAG("links", schedule=None):
    Submitted(task_id="plain", job_name="job-plain", **COMMON)
    Submitted.partial(task_id="mapped", **COMMON).expand(job_name=["job-0", "job-1"])
    Fails(task_id="fails", **COMMON)
