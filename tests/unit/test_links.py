"""The links of a task's job: in Airflow's own serialisation, and pushed where it looks for them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_sm_processing import ProcessingOperator, ScriptProcessingOperator
from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.links import JOB_LINKS
from airflow_sm_processing.operators.job_run import publish
from airflow_sm_processing.processing import ProcessingJob, ProcessingOutput, Session
from airflow_sm_processing.provider_info import get_provider_info

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tests.task_runner import Runner

COMMON: dict[str, Any] = {"role": "R", "image_uri": "i", "instance_count": 1, "instance_type": "ml.m5.xlarge"}
KEYS = {"SageMaker console": "_link_job", "CloudWatch logs": "_link_logs", "Outputs in S3": "_link_outputs"}
REGIONS = {
    "eu-west-1": "console.aws.amazon.com",
    "cn-north-1": "console.amazonaws.cn",
    "us-gov-west-1": "console.amazonaws-us-gov.com",
}


class Published(ProcessingOperator):
    """A task whose job AWS isn't asked for."""

    def __init__(self, *, region: str, endpoint_url: str | None = None, **kwargs: Any) -> None:
        super().__init__(**COMMON, **kwargs)
        self.region = region
        self.endpoint_url = endpoint_url

    def execute(self, context: Context) -> None:
        session = boto3.Session("AKIAMADEUP", "made-up", region_name=self.region)
        made = Session(session, client_factory=lambda name: session.client(name, endpoint_url=self.endpoint_url))
        outputs = [
            ProcessingOutput(f"/opt/ml/processing/{name}", f"s3://results/a b/{name}", name) for name in ("x", "y")
        ]
        publish(context, ProcessingJob(made, "job-1", None, outputs))


@pytest.mark.parametrize("region", REGIONS)
def test_the_links_are_pushed_with_the_job_for_each_partition(runner: Runner, region: str) -> None:
    with DAG("a_dag", schedule=None):
        task = Published(task_id="task", region=region)
    assert runner.run(task).state == "success"
    pushed = runner.supervisor.xcoms["task", -1]
    console = f"https://{REGIONS[region]}"
    assert {name: pushed[key] for name, key in KEYS.items()} == {
        "SageMaker console": f"{console}/sagemaker/home?region={region}#/processing-jobs/job-1",
        "CloudWatch logs": f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FProcessingJobs$3FlogStreamNameFilter$3Djob-1$252F",
        "Outputs in S3": f"{console}/s3/buckets/results?region={region}&prefix=a%20b%2F",
    }


def test_a_local_endpoint_has_none(runner: Runner) -> None:
    with DAG("a_dag", schedule=None):
        task = Published(task_id="task", region="eu-west-1", endpoint_url="http://127.0.0.1:1")
    assert runner.run(task).state == "success"
    assert not runner.supervisor.xcoms["task", -1].keys() & {*KEYS.values()}


def test_a_workers_task_leaves_airflow_no_link_to_push_again(runner: Runner) -> None:
    with DAG("a_dag", schedule=None):
        task = Published(task_id="task", region="eu-west-1")
    assert runner.run(task).task.operator_extra_links == ()
    assert task.operator_extra_links == JOB_LINKS


def test_a_link_reads_what_the_task_pushed(runner: Runner) -> None:
    with DAG("a_dag", schedule=None):
        task = Published(task_id="task", region="eu-west-1")
    runner.run(task)
    pushed, key = runner.supervisor.xcoms["task", -1], runner.instance(task)
    assert [link.get_link(task, ti_key=key) for link in JOB_LINKS] == [pushed[link.xcom_key] for link in JOB_LINKS]
    del pushed["_link_logs"]
    assert [link.get_link(task, ti_key=key) for link in JOB_LINKS][1] == ""


def test_airflows_api_server_knows_them_of_plain_and_mapped_tasks() -> None:
    with DAG("a_dag", schedule=None) as dag:
        ProcessingOperator(task_id="plain", **COMMON)
        ScriptProcessingOperator.partial(task_id="mapped", code="s3://b/c.py", **COMMON).expand(arguments=[["a"]])
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    for task in again.task_dict.values():
        assert {link.name: link.xcom_key for link in task.operator_extra_links} == KEYS
        assert sorted(task.extra_links) == sorted(KEYS)


@pytest.mark.parametrize("name", KEYS.values())
def test_no_output_may_have_a_links_name(name: str) -> None:
    output = ProcessingOutput("/opt/ml/processing/out", output_name=name)
    with pytest.raises(DefinitionError, match=f"'{name}': is an XCom key of the task itself"):
        ProcessingOperator(task_id="task", outputs=[output], **COMMON)


def test_every_link_is_registered_with_the_provider() -> None:
    registered = []
    for path in get_provider_info()["extra-links"]:
        module, _, name = path.rpartition(".")
        registered.append(getattr(importlib.import_module(module), name))
    assert registered == [type(link) for link in JOB_LINKS]
