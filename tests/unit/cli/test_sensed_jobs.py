"""Which jobs the sensors of a DAG file may look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing import ProcessingJobSensor, ProcessingOperator
from airflow_sm_processing.cli.dag_policies import sensed_jobs

if TYPE_CHECKING:
    from airflow.sdk import DAG

ARN = "arn:aws-cn:sagemaker:cn-north-1:210987654321:processing-job/nightly"
UPSTREAM = {
    "role": "arn:aws:iam::123456789012:role/Role",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "base_job_name": "nightly",
    "wait_for_completion": False,
}


def found(dag: DAG) -> list[tuple[str, bool, bool]]:
    return [(each.names, each.listed, each.defers) for each in sensed_jobs(dag)]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"job_name": "nightly"}, ("nightly", False, False)),
        ({"job_name": "nightly-{{ ds }}", "deferrable": True}, ("nightly-*", False, True)),
        ({"job_name_prefix": "nightly-", "deferrable": "{{ params.waits }}"}, ("nightly-*", True, True)),
        ({"job_arn": ARN}, ("nightly", False, False)),
        ({"job_arn": "{{ params.arn }}"}, ("*", False, False)),
        ({"job_arn": ARN + "-{{ ds_nodash }}"}, ("nightly-*", False, False)),
    ],
)
def test_names_are_as_narrow_as_the_file_tells(dag, parameters, expected):
    ProcessingJobSensor(task_id="sensor", **parameters)
    assert found(dag) == [expected]


def test_it_defers_where_airflow_does_so_by_default(dag, monkeypatch):
    ProcessingJobSensor(task_id="waits", job_name="a")
    ProcessingJobSensor(task_id="comes_again", job_name="a", mode="reschedule")
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert [each.defers for each in sensed_jobs(dag)] == [True, False]


def test_an_arn_says_where_its_job_is(dag):
    ProcessingJobSensor(task_id="sensor", job_arn=ARN)
    (job,) = sensed_jobs(dag, account="123456789012", region="eu-west-1")
    assert job.place.job_arns(job.names) == (ARN,)


def test_a_job_of_an_upstream_task_is_named_as_that_tasks_jobs_are(dag):
    job = ProcessingOperator(task_id="job", **UPSTREAM)
    ProcessingJobSensor(task_id="sensor", job_name=job.output["job_name"])
    ProcessingJobSensor(task_id="by_arn", job_arn=job.output["job_arn"])
    names = "arn:aws:sagemaker:*:123456789012:processing-job/nightly-????????????-*"
    assert [each.place.job_arns(each.names) for each in sensed_jobs(dag)] == [(names,)] * 2


def test_a_name_that_another_kind_of_task_gives_may_be_any(dag):
    from airflow.sdk import task

    @task
    def name():
        return "job"

    ProcessingJobSensor(task_id="sensor", job_name=name())
    assert found(dag) == [("*", False, False)]


def test_each_element_of_a_mapped_sensor_counts(dag):
    mapped = ProcessingJobSensor.partial(task_id="sensor", region_name="us-gov-west-1", mode="poke")
    mapped.expand(job_name=["a", "b-{{ ds }}"])
    lookup = [*sensed_jobs(dag)]
    assert [each.names for each in lookup] == ["a", "b-*"]
    assert {each.place.partition for each in lookup} == {"aws-us-gov"}


def test_names_and_regions_that_are_mapped_over_make_all_arns(dag):
    mapped = ProcessingJobSensor.partial(task_id="sensor")
    mapped.expand(job_name=["a", "b"], region_name=["us-east-1", "eu-west-1"], poke_interval=[1, 2])
    lookup = {(each.names, each.place.region) for each in sensed_jobs(dag)}
    assert lookup == {(name, region) for name in ("a", "b") for region in ("us-east-1", "eu-west-1")}


def test_a_sensor_of_which_a_run_alone_knows_what_it_looks_for_may_look_for_anything(dag):
    from airflow.sdk import task

    @task
    def which():
        return [{"job_name": "a"}]

    ProcessingJobSensor.partial(task_id="sensor").expand_kwargs(which())
    ProcessingJobSensor.partial(task_id="known", job_name="a").expand_kwargs(which())
    assert found(dag) == [("*", True, False), ("a", False, False)]
