"""Tasks made of a request of CreateProcessingJob, of a processor, or of parts in the shapes of requests and SDKs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_sm_processing import (
    DefinitionError,
    NetworkConfig,
    ProcessingInput,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from airflow_sm_processing.operators.outputs import FolderReference
from airflow_sm_processing.processing import InstancePreference, Processor, S3Input, ScriptProcessor, Session
from tests.task_parameters import read_task

REQUEST: dict[str, Any] = {
    "ProcessingJobName": "nightly",
    "RoleArn": "arn:aws:iam::123456789012:role/Jobs",
    "AppSpecification": {
        "ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team:1",
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"],
        "ContainerArguments": ["--day", "{{ ds }}"],
    },
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceCount": 2,
            "InstanceType": "ml.m5.large",
            "VolumeSizeInGB": 50,
            "VolumeKmsKeyId": "volume-key",
        }
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    "ProcessingInputs": [
        {
            "InputName": "raw",
            "S3Input": {"S3Uri": "s3://bucket/raw/", "LocalPath": "/opt/ml/processing/raw", "S3DataType": "S3Prefix"},
        }
    ],
    "ProcessingOutputConfig": {
        "KmsKeyId": "output-key",
        "Outputs": [
            {
                "OutputName": "train",
                "S3Output": {
                    "S3Uri": "s3://bucket/train",
                    "LocalPath": "/opt/ml/processing/train",
                    "S3UploadMode": "Continuous",
                },
            }
        ],
    },
    "Environment": {"A": "1"},
    "NetworkConfig": {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": False,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    },
    "Tags": [{"Key": "team", "Value": "ours"}],
    "ExperimentConfig": {"ExperimentName": "e"},
}
S3_INPUT = REQUEST["ProcessingInputs"][0]["S3Input"]
RAW = ProcessingInput(
    input_name="raw",
    s3_input=S3Input(
        s3_uri="s3://bucket/raw/",
        local_path="/opt/ml/processing/raw",
        s3_input_mode=None,
        s3_data_distribution_type=None,
    ),
)
NETWORK = NetworkConfig(
    enable_network_isolation=True,
    security_group_ids=["sg-1"],
    subnets=["subnet-1"],
    encrypt_inter_container_traffic=False,
)
TRAIN = ProcessingOutput("/opt/ml/processing/train", "s3://bucket/train", "train", "Continuous")


@pytest.mark.parametrize("request_", [REQUEST, {"Processing": REQUEST}], ids=["plain", "below Processing"])
def test_a_request_becomes_a_task(dag, request_):
    before = copy.deepcopy(request_)
    task = ProcessingOperator.from_request(request_, task_id="task", dag=dag)
    definition, _ = read_task(task)
    assert (definition.role, definition.image_uri) == (
        REQUEST["RoleArn"],
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team:1",
    )
    assert definition.entrypoint == ["python3", "/opt/ml/processing/code/run.py"]
    assert definition.arguments == ["--day", "{{ ds }}"]
    assert (definition.instance_count, definition.instance_type) == (2, "ml.m5.large")
    assert (definition.volume_size_in_gb, definition.volume_kms_key, definition.output_kms_key) == (
        50,
        "volume-key",
        "output-key",
    )
    assert definition.max_runtime_in_seconds == 600
    assert definition.inputs == (RAW,)
    assert definition.outputs == (TRAIN,)
    assert definition.env == {"A": "1"}
    assert definition.network_config == NETWORK
    assert definition.tags == REQUEST["Tags"]
    assert definition.experiment_config == {"ExperimentName": "e"}
    assert request_ == before


@pytest.mark.parametrize(
    ("name", "base_job_name", "job_name"),
    [("nightly", "nightly", None), ("nightly-{{ ts_nodash }}", None, "nightly-{{ ts_nodash }}"), (None, None, None)],
)
def test_a_name_is_one_runs_only_with_a_template(dag, name, base_job_name, job_name):
    task = ProcessingOperator.from_request({**REQUEST, "ProcessingJobName": name}, task_id="task", dag=dag)
    assert (task.base_job_name, task.job_name) == (base_job_name, job_name)


def test_what_is_beside_the_request_wins(dag):
    task = ProcessingOperator.from_request(REQUEST, task_id="task", dag=dag, instance_count=5, base_job_name="mine")
    assert (task.instance_count, task.base_job_name, task.job_name) == (5, "mine", None)


def test_what_no_request_has_is_one_error(dag):
    request = {
        **REQUEST,
        "EnvironmentS": {"PASSWORD": "a-secret"},
        "AppSpecification": {**REQUEST["AppSpecification"], "Image": "x"},
        "StoppingCondition": 600,
    }
    with pytest.raises(DefinitionError) as raised:
        ProcessingOperator.from_request(request, task_id="task", dag=dag)
    rules = {problem.parameter: problem.rule for problem in raised.value.problems}
    assert rules["EnvironmentS"].startswith(
        "isn't a member of a CreateProcessingJob request; the members are ProcessingJobName, "
    )
    assert rules["AppSpecification.Image"].startswith(
        "isn't a member of a CreateProcessingJob request; the members are ImageUri, "
    )
    assert rules["StoppingCondition"] == "must be a dict of MaxRuntimeInSeconds"
    assert "a-secret" not in str(raised.value)


def test_references_in_a_request_are_of_folders(dag, task_factory):
    first = task_factory(outputs=[{"OutputName": "train", "S3Output": {"LocalPath": "/opt/ml/processing/train"}}])
    request = {
        **REQUEST,
        "ProcessingInputs": [{"InputName": "raw", "S3Input": {**S3_INPUT, "S3Uri": first.output["train"]}}],
    }
    task = ProcessingOperator.from_request(request, task_id="after", dag=dag)
    assert isinstance(task.inputs[0]["s3_input"]["s3_uri"], FolderReference)
    assert task.upstream_task_ids == {first.task_id}


SHAPES_OF_INPUTS = [
    pytest.param(REQUEST["ProcessingInputs"][0], id="boto3"),
    pytest.param({"input_name": "raw", "S3Input": S3_INPUT}, id="mixed"),
]
SHAPES_OF_OUTPUTS = [
    pytest.param(REQUEST["ProcessingOutputConfig"]["Outputs"][0], id="boto3"),
    pytest.param(
        {
            "output_name": "train",
            "s3_output": {
                "s3_uri": "s3://bucket/train",
                "local_path": "/opt/ml/processing/train",
                "s3_upload_mode": "Continuous",
            },
            "feature_store_output": None,
        },
        id="v3",
    ),
]
SHAPES_OF_NETWORKS = [
    pytest.param(REQUEST["NetworkConfig"], id="boto3"),
    pytest.param(
        {
            "enable_network_isolation": True,
            "enable_inter_container_traffic_encryption": False,
            "vpc_config": {"security_group_ids": ["sg-1"], "subnets": ["subnet-1"]},
        },
        id="v3",
    ),
]


@pytest.mark.parametrize("shape", SHAPES_OF_INPUTS)
def test_an_input_is_read_in_each_shape(task_factory, shape):
    assert read_task(task_factory(inputs=[shape]))[0].inputs == (RAW,)


@pytest.mark.parametrize("shape", SHAPES_OF_OUTPUTS)
def test_an_output_is_read_in_each_shape(task_factory, shape):
    assert read_task(task_factory(outputs=[shape]))[0].outputs == (TRAIN,)


@pytest.mark.parametrize("shape", SHAPES_OF_NETWORKS)
def test_a_network_is_read_in_each_shape(task_factory, shape):
    assert read_task(task_factory(network_config=shape))[0].network_config == NETWORK


def test_preferences_are_read_as_in_a_request(task_factory):
    task = task_factory(
        instance_type=None,
        instance_count=None,
        instance_preferences=[{"InstanceType": "ml.m5.large", "InstanceCount": 2}],
    )
    assert read_task(task)[0].instance_preferences == (InstancePreference("ml.m5.large", 2),)


@pytest.mark.parametrize(
    ("field", "item", "parameter", "kind"),
    [
        ("inputs", {"InputName": "a", "input_name": "b"}, "inputs[0].InputName", "ProcessingInput"),
        ("outputs", {"S3Output": {"Uri": "s3://b/o"}}, "outputs[0].S3Output.Uri", "ProcessingOutput"),
        ("outputs", {"Output": "a"}, "outputs[0].Output", "ProcessingOutput"),
    ],
)
def test_a_name_that_no_shape_has_is_an_error(task_factory, field, item, parameter, kind):
    with pytest.raises(DefinitionError) as raised:
        task_factory(**{field: [item]})
    [problem] = raised.value.problems
    assert (problem.parameter, problem.rule.partition(";")[0]) == (parameter, f"isn't a field of {kind}")


def test_mapped_tasks_take_each_shape(dag):
    first = ProcessingOperator.from_request(REQUEST, task_id="first", dag=dag)
    mapped = ProcessingOperator.partial(
        task_id="mapped",
        dag=dag,
        role="Jobs",
        image_uri="team:1",
        instance_count=1,
        instance_type="ml.m5.large",
        inputs=[{"InputName": "raw", "S3Input": {**S3_INPUT, "S3Uri": first.output["train"]}}],
    ).expand(arguments=[["a"], ["b"]])
    assert isinstance(mapped.partial_kwargs["inputs"][0]["s3_input"]["s3_uri"], FolderReference)


def test_a_processor_becomes_a_task(dag):
    processor = Processor(
        role="Jobs",
        image_uri="team:1",
        instance_count=2,
        instance_type="ml.m5.large",
        entrypoint=["python3", "/run.py"],
        env={"A": "1"},
        tags={"team": "ours"},
        network_config=NetworkConfig(subnets=["subnet-1"], security_group_ids=["sg-1"]),
        sagemaker_session=Session(),
    )
    task = ProcessingOperator.from_processor(processor, task_id="task", dag=dag, instance_count=3)
    definition, _ = read_task(task)
    assert (definition.image_uri, definition.instance_count, definition.entrypoint) == (
        "team:1",
        3,
        ["python3", "/run.py"],
    )
    assert (definition.env, definition.tags) == ({"A": "1"}, [{"Key": "team", "Value": "ours"}])
    assert definition.network_config == processor.network_config


def test_a_script_processor_becomes_a_task(dag):
    processor = ScriptProcessor("Jobs", "team:1", ["python3", "-u"], 1, "ml.m5.large", sagemaker_session=Session())
    task = ScriptProcessingOperator.from_processor(processor, task_id="task", dag=dag, code="s3://b/x.py")
    definition, _ = read_task(task)
    assert (definition.command, definition.code, definition.image_uri) == (["python3", "-u"], "s3://b/x.py", "team:1")
