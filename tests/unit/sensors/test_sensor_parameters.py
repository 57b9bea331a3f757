"""What a sensor makes of its parameters before it looks for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing import ProcessingJobSensor
from airflow_sm_processing.hooks.connection import AwsConnection

if TYPE_CHECKING:
    from airflow.sdk import DAG

ARN = "arn:aws-cn:sagemaker:cn-north-1:123456789012:processing-job/job-1"


pytestmark = pytest.mark.usefixtures("dag")


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        ({}, 10),
        ({"poll_interval": 45}, 45),
        ({"poke_interval": 50}, 50),
        ({"poll_interval": 45, "poke_interval": 50}, 50),
    ],
)
def test_the_interval_has_two_names(parameters: dict[str, Any], seconds: float) -> None:
    assert ProcessingJobSensor(task_id="sensor", job_name="a", **parameters).poke_interval == seconds


@pytest.mark.parametrize(
    ("parameters", "default", "expected"),
    [
        ({}, "False", False),
        ({}, "True", True),
        ({"mode": "reschedule"}, "True", False),
        ({"mode": "reschedule", "deferrable": True}, "False", True),
        ({"deferrable": "True"}, "False", True),
        ({"deferrable": False}, "True", False),
    ],
)
def test_whether_it_defers(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any], default: str, expected: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", default)
    assert ProcessingJobSensor(task_id="sensor", job_name="a", **parameters)._is_deferrable() is expected


def test_it_talks_to_the_aws_that_its_parameters_name() -> None:
    sensor = ProcessingJobSensor(
        task_id="sensor",
        job_name="a",
        aws_conn_id="other",
        region_name="eu-west-1",
        verify="false",
        botocore_config={"connect_timeout": 5},
    )
    assert sensor.connection == AwsConnection(
        aws_conn_id="other", region_name="eu-west-1", verify=False, botocore_config={"connect_timeout": 5}
    )


@pytest.mark.parametrize("region_name", [None, "cn-north-1"])
def test_an_arn_names_the_region(region_name: str | None) -> None:
    sensor = ProcessingJobSensor(task_id="sensor", job_arn=ARN, region_name=region_name)
    assert sensor.connection == AwsConnection(region_name="cn-north-1")


def test_what_says_which_job_may_be_templated_or_mapped(dag: DAG) -> None:
    first = ProcessingJobSensor(task_id="first", job_name="{{ ds }}")
    ProcessingJobSensor(task_id="second", job_name=first.output["job_name"])
    ProcessingJobSensor.partial(task_id="third").expand(job_name=["a", "b"])
    assert dag.get_task("second").upstream_task_ids == {"first"}
    assert {"job_name", "job_arn", "job_name_prefix", "since"} <= {*ProcessingJobSensor.template_fields}
