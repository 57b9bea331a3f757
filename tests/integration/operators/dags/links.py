"""Tasks whose job is on AWS, as far as they tell; AWS itself isn't asked for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from airflow.sdk import DAG

from airflow_sm_processing.links import LinkedTask
from airflow_sm_processing.operators.own_xcoms import publish
from airflow_sm_processing.processing import ProcessingJob, ProcessingOutput, Session

if TYPE_CHECKING:
    from airflow.sdk import Context


class Submitted(LinkedTask):
    """Tells of a job as the operators do at its submission."""

    template_fields = ("job_name",)

    def __init__(self, *, job_name: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.job_name = job_name

    def execute(self, context: Context) -> None:
        session = Session(boto3.Session("AKIAMADEUP", "made-up", region_name="eu-west-1"), client_factory=self._client)
        outputs = [ProcessingOutput("/opt/ml/processing/out", "s3://results/out", "out")]
        publish(context, ProcessingJob(session, self.job_name, None, outputs))

    def _client(self, service_name: str) -> object:
        endpoint = f"https://api.{service_name}.eu-west-1.amazonaws.com"  # the tests' environment names a local one
        return boto3.Session("AKIAMADEUP", "made-up", region_name="eu-west-1").client(
            service_name, endpoint_url=endpoint
        )


class Fails(LinkedTask):
    """Has no job."""

    def execute(self, context: Context) -> None:
        raise RuntimeError("no job")


with DAG("links", schedule=None):
    Submitted(task_id="plain", job_name="job-plain")
    Submitted.partial(task_id="mapped").expand(job_name=["job-0", "job-1"])
    Fails(task_id="fails")
