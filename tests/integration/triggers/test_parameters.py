"""Each parameter of the operators reaches its place: distinct values, and the whole of what SageMaker was asked."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing import (
    NetworkConfig,
    ProcessingInput,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.local import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

# The arguments of a job are the shell's own, for sleep would end at once with an error about them.
SLEEP = ["/bin/sh", "-c", "sleep 600"]
KEY = "arn:aws:kms:us-east-1:123456789012:key/{}"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1"
ASKED = (
    "AppSpecification",
    "Environment",
    "ExperimentConfig",
    "NetworkConfig",
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "RoleArn",
    "StoppingCondition",
)
SHARED: dict[str, Any] = {
    "role": "SageMakerRole",
    "image_uri": IMAGE,
    "volume_size_in_gb": 31,
    "volume_kms_key": KEY.format("volume"),
    "output_kms_key": KEY.format("output"),
    "max_runtime_in_seconds": 601,
    "env": {"NUMBER": 4, "TEXT": "{{ run_id }}"},
    "tags": {"team": "{{ dag.dag_id }}"},
    "network_config": NetworkConfig(
        enable_network_isolation=False,
        encrypt_inter_container_traffic=True,
        subnets=["subnet-1"],
        security_group_ids=["sg-1"],
    ),
    "arguments": ["--rate", 0.5, "{{ task.task_id }}"],
    "experiment_config": {"ExperimentName": "experiment", "TrialName": "trial"},
    "wait_for_completion": False,
}


@pytest.fixture(autouse=True)
def bucket(sagemaker: LocalSageMaker) -> None:
    s3 = sagemaker.client("s3")
    s3.create_bucket(Bucket="a-bucket")
    s3.put_object(Bucket="a-bucket", Key="data/part", Body=b"data")


def asked_of(sagemaker: LocalSageMaker, job_name: str, region: str | None = None) -> dict[str, Any]:
    """Return the parts of a job's description that repeat its request, and its tags."""
    client = sagemaker.client("sagemaker", region=region)
    job = client.describe_processing_job(ProcessingJobName=job_name)
    tags = [
        tag
        for tag in client.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
        if not tag["Key"].startswith("airflow:")
    ]
    client.stop_processing_job(ProcessingJobName=job_name)
    return {name: job.get(name) for name in ASKED} | {"Tags": tags}


def test_of_a_processing_operator(runner: Runner, dag: DAG, sagemaker: LocalSageMaker):
    task = ProcessingOperator(
        task_id="task",
        instance_count=2,
        instance_type="ml.m5.2xlarge",
        entrypoint=SLEEP,
        job_name="a-{{ ds }}",
        inputs=[
            ProcessingInput(
                "s3://a-bucket/data",
                "/opt/ml/processing/in/{{ ds }}",
                "named",
                s3_data_distribution_type="ShardedByS3Key",
            )
        ],
        outputs=[
            ProcessingOutput(
                "/opt/ml/processing/out", "s3://a-bucket/out/{{ ds }}", "out", s3_upload_mode="Continuous"
            ),
            "/opt/ml/processing/unnamed",
        ],
        default_bucket="a-bucket",
        default_bucket_prefix="a/prefix",
        **SHARED,
    )
    ended = runner.run(task)
    assert ended.state == "success", ended.error
    assert asked_of(sagemaker, "a-2026-01-02") == {
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": SLEEP,
            "ContainerArguments": ["--rate", "0.5", "task"],
        },
        "Environment": {"NUMBER": "4", "TEXT": "a_run"},
        "ExperimentConfig": {"ExperimentName": "experiment", "TrialName": "trial"},
        "NetworkConfig": {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": True,
            "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        },
        "ProcessingInputs": [
            {
                "InputName": "named",
                "AppManaged": False,
                "S3Input": {
                    "S3Uri": "s3://a-bucket/data/",  # a folder is there
                    "LocalPath": "/opt/ml/processing/in/2026-01-02",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                    "S3DataDistributionType": "ShardedByS3Key",
                    "S3CompressionType": "None",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "KmsKeyId": KEY.format("output"),
            "Outputs": [
                {
                    "OutputName": "out",
                    "AppManaged": False,
                    "S3Output": {
                        "S3Uri": "s3://a-bucket/out/2026-01-02",
                        "LocalPath": "/opt/ml/processing/out",
                        "S3UploadMode": "Continuous",
                    },
                },
                {
                    "OutputName": "output-2",
                    "AppManaged": False,
                    "S3Output": {
                        "S3Uri": "s3://a-bucket/a/prefix/a-2026-01-02/output/output-2",
                        "LocalPath": "/opt/ml/processing/unnamed",
                        "S3UploadMode": "EndOfJob",
                    },
                },
            ],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 2,
                "InstanceType": "ml.m5.2xlarge",
                "VolumeSizeInGB": 31,
                "VolumeKmsKeyId": KEY.format("volume"),
            }
        },
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
        "StoppingCondition": {"MaxRuntimeInSeconds": 601},
        "Tags": [{"Key": "team", "Value": "a_dag"}],
    }


def test_of_a_script_processing_operator(runner: Runner, dag: DAG, sagemaker: LocalSageMaker, tmp_path: Path):
    (tmp_path / "code" / "jobs").mkdir(parents=True)
    (tmp_path / "code" / "jobs" / "run.py").write_text("import time; time.sleep(600)")
    task = ScriptProcessingOperator(
        task_id="task",
        instance_preferences=[
            {"instance_type": "ml.m5.large", "instance_count": "{{ 3 }}"},
            {"instance_type": "ml.m5.xlarge", "instance_count": 2},
        ],
        code=str(tmp_path / "code"),
        script_name="jobs/{{ 'run' }}.py",
        command=[sys.executable, "-u"],
        base_job_name="named-after",
        kms_key=KEY.format("upload"),
        default_bucket="a-bucket",
        **SHARED,
    )
    ended = runner.run(task)
    assert ended.state == "success", ended.error
    job_name = runner.supervisor.xcoms["task", -1]["job_name"]
    asked = asked_of(sagemaker, job_name)
    assert re.fullmatch(r"named-after-[0-9a-f]{12}-1", job_name)
    assert asked["AppSpecification"] == {
        "ImageUri": IMAGE,
        "ContainerEntrypoint": [sys.executable, "-u", "/opt/ml/processing/input/code/jobs/run.py"],
        "ContainerArguments": ["--rate", "0.5", "task"],
    }
    assert asked["ProcessingResources"]["ClusterConfig"]["InstancePreferences"] == [
        {"InstanceType": "ml.m5.large", "InstanceCount": 3},
        {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
    ]
    (code,) = (item["S3Input"]["S3Uri"] for item in asked["ProcessingInputs"])
    assert re.fullmatch(rf"s3://a-bucket/{job_name.removesuffix('-1')}/input/[0-9a-f]{{32}}/code/", code)
    key = code.removeprefix("s3://a-bucket/") + "jobs/run.py"
    uploaded = sagemaker.client("s3").head_object(Bucket="a-bucket", Key=key)
    assert (uploaded["ServerSideEncryption"], uploaded["SSEKMSKeyId"]) == ("aws:kms", KEY.format("upload"))


@pytest.mark.parametrize(("parameters", "in_log"), [({"logs": True}, True), ({"logs": "{{ 'false' }}"}, False)])
def test_logs(runner: Runner, task_factory: Any, capfd: pytest.CaptureFixture[str], parameters: Any, in_log: bool):
    runner.run(task_factory("print('of the job')", **parameters))
    assert ("of the job" in capfd.readouterr().out) is in_log


@pytest.mark.parametrize(
    ("on_stopped", "state"), [("fail", "up_for_retry"), ("skip", "skipped"), ("{{ 'succeed' }}", "success")]
)
def test_on_stopped(runner: Runner, task_factory: Any, on_stopped: str, state: str):
    ended = runner.run(task_factory("import time; time.sleep(600)", max_runtime_in_seconds=1, on_stopped=on_stopped))
    assert ended.state == state


@pytest.mark.parametrize(
    "parameters",
    [
        {"aws_conn_id": "{{ 'aws' }}_default"},
        {"aws_conn_id": None},
        {"region_name": "{{ 'us-west-2' }}"},
        {"verify": "{{ 'false' }}"},
    ],
    ids=["aws_conn_id", "no aws_conn_id", "region_name", "verify"],
)
def test_the_connections_parameters_may_be_templates(runner: Runner, task_factory: Any, parameters: dict[str, Any]):
    ended = runner.run(task_factory("pass", wait_for_completion=False, **parameters))
    assert ended.state == "success", ended.error
    session = ended.task.hook.session
    region = "us-west-2" if "region_name" in parameters else "us-east-1"
    assert session.boto_region_name == session.sagemaker_client.meta.region_name == region
    assert session.verify is (False if "verify" in parameters else None)


def test_poll_interval_in_a_worker(runner: Runner, task_factory: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__POLL_INTERVAL", "3600")  # would be over the test's time
    ended = runner.run(task_factory("import time; time.sleep(1)", poll_interval="{{ 0.2 }}", logs=False))
    assert ended.state == "success"


def test_max_transient_seconds_in_a_worker(runner: Runner, task_factory: Any, sagemaker: LocalSageMaker):
    sagemaker.set_faults(Fault(operation="DescribeProcessingJob", error="ThrottlingException"))
    task = task_factory(
        "import time; time.sleep(600)",
        max_transient_seconds="{{ 0.5 }}",
        botocore_config={"retries": {"total_max_attempts": 1}},
        logs=False,
    )
    ended = runner.run(task)
    sagemaker.set_faults()
    assert isinstance(ended.error, TransientError)
    job_name = runner.supervisor.xcoms["task", -1]["job_name"]
    job = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job_name)
    assert job["ProcessingJobStatus"] == "InProgress"  # a job that can't be seen may be a healthy one


def test_max_wait_in_a_worker(runner: Runner, task_factory: Any):
    ended = runner.run(task_factory("import time; time.sleep(600)", max_wait="{{ 1 }}", logs=False))
    assert str(ended.error).endswith("had not ended after 1 s.")


def test_of_an_image_by_its_short_form(runner: Runner, dag: DAG, sagemaker: LocalSageMaker, caplog):
    """The region is the connection's, and the version a template's."""
    caplog.set_level("INFO", "airflow_sm_processing")
    shared = {name: value for name, value in SHARED.items() if name != "image_uri"}
    task = ProcessingOperator(
        task_id="task",
        image="sklearn:{{ '1.2-1' }}",
        instance_count=1,
        instance_type="ml.m5.large",
        entrypoint=SLEEP,
        region_name="eu-central-1",
        **shared,
    )
    ended = runner.run(task)
    assert ended.state == "success", ended.error
    name = runner.supervisor.xcoms["task", -1]["job_name"]
    assert name.startswith("a-dag-task-")
    uri = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
    assert asked_of(sagemaker, name, "eu-central-1")["AppSpecification"]["ImageUri"] == uri
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Image ")]
    assert [line.partition(" (")[0] for line in lines] == [f"Image sklearn:1.2-1 is {uri}; sklearn:1.4-2 is newer"]
