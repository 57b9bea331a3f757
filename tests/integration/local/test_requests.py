"""Requests that can't be right are refused with the service's own codes and words."""

from __future__ import annotations

import json
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .bench import IMAGE, Bench, s3_input, s3_output
from .wire import send, signed

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
PATTERNS = {
    name: botocore.session.Session().get_service_model("sagemaker").shape_for(name).metadata.get("pattern")
    for name in ("ProcessingJobName", "RoleArn", "ProcessingEnvironmentKey", "ContainerArgument")
}


def cluster(**fields: Any) -> dict[str, Any]:
    return {"ProcessingResources": {"ClusterConfig": fields}}


def inputs(*items: dict[str, Any]) -> dict[str, Any]:
    return {"ProcessingInputs": list(items)}


def outputs(*items: dict[str, Any]) -> dict[str, Any]:
    return {"ProcessingOutputConfig": {"Outputs": list(items)}}


def _input(name: str = "in", path: str = "/opt/ml/processing/in", **more: Any) -> dict[str, Any]:
    return s3_input(name, "s3://bucket/in", path, **more)


def _output(name: str = "out", path: str = "/opt/ml/processing/out") -> dict[str, Any]:
    return s3_output(name, "s3://bucket/out", path)


def violation(value: str, path: str, constraint: str) -> str:
    return f"1 validation error detected: Value {value} at '{path}' failed to satisfy constraint: {constraint}"


REFUSED = {
    "a name with an underscore": (
        {"ProcessingJobName": "a_b"},
        violation(
            "'a_b'",
            "processingJobName",
            f"Member must satisfy regular expression pattern: {PATTERNS['ProcessingJobName']}",
        ),
    ),
    "no entrypoint in the list": (
        {"AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": []}},
        violation("'[]'", "appSpecification.containerEntrypoint", "Member must have length greater than or equal to 1"),
    ),
    "an argument of 257 characters": (
        {"AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["a" * 257]}},
        violation(
            f"'[{'a' * 257}]'",
            "appSpecification.containerEntrypoint",
            "Member must satisfy constraint: [Member must have length less than or equal to 256, Member must have "
            "length greater than or equal to 0, Member must satisfy regular expression pattern: .*]",
        ),
    ),
    "no instances": (
        cluster(**CLUSTER | {"InstanceCount": 0}),
        violation(
            "'0'",
            "processingResources.clusterConfig.instanceCount",
            "Member must have value greater than or equal to 1",
        ),
    ),
    "101 instances": (
        cluster(**CLUSTER | {"InstanceCount": 101}),
        violation(
            "'101'",
            "processingResources.clusterConfig.instanceCount",
            "Member must have value less than or equal to 100",
        ),
    ),
    "no volume": (
        cluster(InstanceCount=1, InstanceType="ml.m5.xlarge"),
        violation("null", "processingResources.clusterConfig.volumeSizeInGB", "Member must not be null"),
    ),
    "a role that is no ARN": (
        {"RoleArn": "SageMakerRole-by-its-name"},
        violation(
            "'SageMakerRole-by-its-name'",
            "roleArn",
            f"Member must satisfy regular expression pattern: {PATTERNS['RoleArn']}",
        ),
    ),
    "an environment variable with a dash": (
        {"Environment": {"A-B": "1"}},
        violation(
            "'{A-B=1}'",
            "environment",
            "Map keys must satisfy constraint: [Member must have length less than or equal to 256, Member must have "
            "length greater than or equal to 0, Member must satisfy regular expression pattern: "
            f"{PATTERNS['ProcessingEnvironmentKey']}]",
        ),
    ),
    "two violations at once": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 0}, "ProcessingJobName": "-"},
        (
            "2 validation errors detected: Value '-' at 'processingJobName' failed to satisfy constraint: Member must "
            f"satisfy regular expression pattern: {PATTERNS['ProcessingJobName']}; Value '0' at "
            "'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: Member must have value greater than "
            "or equal to 1"
        ),
    ),
    "an input in an unknown mode": (
        inputs(_input(S3DataType="Folder")),
        violation(
            "'Folder'",
            "processingInputs.1.member.s3Input.s3DataType",
            "Member must satisfy enum value set: [ManifestFile, S3Prefix]",
        ),
    ),
    "a tag with a forbidden character": (
        {"Tags": [{"Key": "a;b", "Value": ""}]},
        violation(
            "'a;b'",
            "tags.1.member.key",
            r"Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)",
        ),
    ),
    "an input name twice": (
        inputs(_input("a", "/opt/ml/processing/1"), _input("a", "/opt/ml/processing/2")),
        "ProcessingInputs: InputName 'a' is used 2 times. It must be unique.",
    ),
    "an output name twice": (
        outputs(_output("a", "/opt/ml/processing/1"), _output("a", "/opt/ml/processing/2")),
        "ProcessingOutputConfig: OutputName 'a' is used 2 times. It must be unique.",
    ),
    "two inputs in one folder": (
        inputs(_input("a"), _input("b")),
        "ProcessingInputs: LocalPath '/opt/ml/processing/in' is used 2 times. It must be unique.",
    ),
    "an input with nothing in it": (
        inputs({"InputName": "a"}),
        "Processing input 'a' must have exactly one of S3Input and DatasetDefinition.",
    ),
    "an output with nothing in it": (
        outputs({"OutputName": "a"}),
        "Processing output 'a' must have S3Output unless it has FeatureStoreOutput.",
    ),
    "an input elsewhere": (
        inputs(_input(path="/data")),
        "Processing input 'in': LocalPath '/data' must be under /opt/ml/processing.",
    ),
    "an input that is the whole folder": (
        inputs(_input(path="/opt/ml/processing")),
        "Processing input 'in': LocalPath '/opt/ml/processing' must be under /opt/ml/processing.",
    ),
    "an output elsewhere": (
        outputs(_output(path="/opt/ml/output/x")),
        "Processing output 'out': LocalPath '/opt/ml/output/x' must be under /opt/ml/processing.",
    ),
    "one name for an input and an output": (
        inputs(_input("data")) | outputs(_output("data")),
        "'data' is the name of an input and of an output. Names must be unique across both.",
    ),
    "an empty word in the entrypoint": (
        {"AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", ""]}},
        "ContainerEntrypoint can't have an empty string in it.",
    ),
    "an empty argument": (
        {"AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"], "ContainerArguments": ["-n", ""]}},
        "ContainerArguments can't have an empty string in it.",
    ),
    "a tag that is AWS's own": (
        {"Tags": [{"Key": "Aws:x", "Value": "1"}]},
        "Tag key 'Aws:x' can't begin with 'aws:'. This prefix is reserved for AWS use.",
    ),
    "an output that climbs out": (
        outputs(_output(path="/opt/ml/processing/../../../etc")),
        "Processing output 'out': LocalPath '/opt/ml/processing/../../../etc' must be under /opt/ml/processing.",
    ),
    "an input without a path": (
        inputs({"InputName": "in", "S3Input": {"S3Uri": "s3://bucket/in", "S3DataType": "S3Prefix"}}),
        "Processing input 'in': LocalPath is required unless AppManaged is true.",
    ),
    "gzip without pipe": (
        inputs(_input(S3CompressionType="Gzip")),
        "Processing input 'in': S3CompressionType Gzip is supported for S3InputMode Pipe only.",
    ),
    "a count in some preferences": (
        cluster(
            VolumeSizeInGB=1,
            InstancePreferences=[{"InstanceType": "ml.m5.large", "InstanceCount": 2}, {"InstanceType": "ml.m5.xlarge"}],
        ),
        "InstanceCount must be in every one of the InstancePreferences, or in ClusterConfig and in none of them.",
    ),
    "counts in two places": (
        cluster(
            VolumeSizeInGB=1,
            InstanceCount=1,
            InstancePreferences=[{"InstanceType": "ml.m5.large", "InstanceCount": 2}],
        ),
        "InstanceCount must be in every one of the InstancePreferences, or in ClusterConfig and in none of them.",
    ),
    "counts in no place": (
        cluster(VolumeSizeInGB=1, InstancePreferences=[{"InstanceType": "ml.m5.large"}]),
        "InstanceCount must be in every one of the InstancePreferences, or in ClusterConfig and in none of them.",
    ),
    "a preference twice": (
        cluster(
            VolumeSizeInGB=1,
            InstanceCount=1,
            InstancePreferences=[{"InstanceType": "ml.m5.large"}, {"InstanceType": "ml.m5.large"}],
        ),
        "An instance type can appear only once in InstancePreferences.",
    ),
    "no instance count": (
        cluster(InstanceType="ml.m5.xlarge", VolumeSizeInGB=30),
        "ClusterConfig must have InstanceCount beside InstanceType.",
    ),
    "no instance type": (
        cluster(InstanceCount=1, VolumeSizeInGB=30),
        "ClusterConfig must have exactly one of InstanceType and InstancePreferences.",
    ),
    "two ways to choose the instance": (
        cluster(**CLUSTER, InstancePreferences=[{"InstanceType": "ml.m5.large"}]),
        "ClusterConfig must have exactly one of InstanceType and InstancePreferences.",
    ),
    "a pipe": (
        inputs(_input(S3InputMode="Pipe")),
        "The local SageMaker has no FIFO pipes (input 'in'). Use S3InputMode File.",
    ),
    "Athena": (
        inputs(
            {
                "InputName": "in",
                "DatasetDefinition": {
                    "LocalPath": "/opt/ml/processing/in",
                    "AthenaDatasetDefinition": {
                        "Catalog": "c",
                        "Database": "d",
                        "QueryString": "q",
                        "OutputS3Uri": "s3://bucket/",
                        "OutputFormat": "JSON",
                    },
                },
            }
        ),
        "The local SageMaker has no Athena and no Redshift (input 'in'). Put the data into S3.",
    ),
    "a feature store": (
        outputs({"OutputName": "out", "FeatureStoreOutput": {"FeatureGroupName": "group"}}),
        "The local SageMaker has no Feature Store (output 'out'). Write to S3.",
    ),
    "an image's own entrypoint": (
        {"AppSpecification": {"ImageUri": IMAGE}},
        "The local SageMaker pulls no image and so knows no ENTRYPOINT. Give ContainerEntrypoint.",
    ),
    "an image URI with a space": (
        {"AppSpecification": {"ImageUri": "my image", "ContainerEntrypoint": ["true"]}},
        "Invalid image URI 'my image'. Please provide a valid Amazon ECR image path.",
    ),
    "every problem at once": (
        inputs(_input("a", "/data"), _input("a", "/opt/ml/processing/b", S3InputMode="Pipe")),
        (
            "ProcessingInputs: InputName 'a' is used 2 times. It must be unique. Processing input 'a': LocalPath "
            "'/data' must be under /opt/ml/processing. "
            "The local SageMaker has no FIFO pipes (input 'a'). Use S3InputMode File."
        ),
    ),
}


@pytest.fixture
def unchecked(bench: Bench):
    """A client that sends what its own checks would hold back."""
    client = boto3.client(
        "sagemaker",
        endpoint_url=bench.server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=bench.server.key.access_key_id,
        aws_secret_access_key=bench.server.key.secret_access_key,
        config=Config(parameter_validation=False),
    )
    yield client
    client.close()


@pytest.mark.parametrize("case", REFUSED)
def test_create_refuses(bench: Bench, unchecked: Any, case: str):
    fields, message = REFUSED[case]
    with pytest.raises(ClientError) as caught:
        unchecked.create_processing_job(**bench.request(["true"]) | fields)
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ValidationException", message)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"ProcessingJobName": 5},
        {"StoppingCondition": {"MaxRuntimeInSeconds": True}},
        {"ProcessingInputs": {}},
        {"Environment": []},
        {"Environment": {"A": 1}},
        {"NetworkConfig": {"EnableNetworkIsolation": "yes"}},
    ],
    ids=json.dumps,
)
def test_a_wrong_json_type_is_a_serialization_error(bench: Bench, unchecked: Any, fields: dict[str, Any]):
    body = json.dumps(bench.request(["true"]) | fields).encode()
    headers = signed(bench.server, body=body, operation="CreateProcessingJob")
    status, answer = send(bench.server, "POST", "/", headers, body)
    assert (status, json.loads(answer)["__type"]) == (400, "SerializationException")


def test_null_members_are_as_good_as_absent(bench: Bench):
    nulls = {"ProcessingInputs": None, "Environment": None, "ProcessingOutputConfig": None, "Tags": None}
    request = bench.request(["true"]) | nulls
    body = json.dumps(request).encode()
    headers = signed(bench.server, body=body, operation="CreateProcessingJob")
    assert send(bench.server, "POST", "/", headers, body)[0] == 200
    assert bench.end(request["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"


def test_a_name_can_be_used_once(bench: Bench):
    name = bench.create(["true"])
    with pytest.raises(bench.sagemaker.exceptions.ResourceInUse, match=f"already exists .*processing-job/{name}"):
        bench.create(["true"], name=name)
    bench.end(name)
    with pytest.raises(bench.sagemaker.exceptions.ResourceInUse):
        bench.create(["true"], name=name)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("describe_processing_job", "ValidationException"),
        ("stop_processing_job", "ValidationException"),
        ("delete_processing_job", "ResourceNotFound"),
    ],
)
def test_an_unknown_job_is_not_found(bench: Bench, operation: str, code: str):
    with pytest.raises(ClientError) as caught:
        getattr(bench.sagemaker, operation)(ProcessingJobName="x")
    assert caught.value.response["Error"] == {"Code": code, "Message": "Could not find requested job with name: x"}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("operation", "more"),
    [("list_tags", {}), ("add_tags", {"Tags": [{"Key": "k", "Value": "v"}]}), ("delete_tags", {"TagKeys": ["k"]})],
)
def test_the_tags_of_an_unknown_job_are_not_found(bench: Bench, operation: str, more: dict[str, Any]):
    arn = f"arn:aws:sagemaker:us-east-1:{bench.server.account_id}:processing-job/x"
    with pytest.raises(ClientError) as caught:
        getattr(bench.sagemaker, operation)(ResourceArn=arn, **more)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


def test_describe_gives_what_was_asked_for_and_what_became_of_it(bench: Bench):
    uri = bench.put("in/file", "x")
    asked = {
        "Environment": {"A": "1"},
        "NetworkConfig": {"EnableNetworkIsolation": False, "EnableInterContainerTrafficEncryption": True},
        "ExperimentConfig": {"ExperimentName": "e", "TrialName": "t"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **inputs(s3_input("in", uri, "/opt/ml/processing/in")),
        **outputs(s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")),
    }
    request = bench.request(["sh", "-c", "printf done > /opt/ml/output/message"], **asked)
    arn = bench.sagemaker.create_processing_job(**request, Tags=[{"Key": "k", "Value": "v"}])["ProcessingJobArn"]
    job = bench.end(request["ProcessingJobName"])
    times = [job.pop(field) for field in ("CreationTime", "ProcessingStartTime", "ProcessingEndTime")]
    assert times == sorted(times)
    assert job.pop("LastModifiedTime") == times[2]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{request['ProcessingJobName']}"
    assert job == {**request, "ProcessingJobArn": arn, "ProcessingJobStatus": "Completed", "ExitMessage": "done"}


@pytest.mark.parametrize("for_all", [True, False])
def test_the_first_preferred_instance_is_selected(bench: Bench, for_all: bool):
    count = {"InstanceCount": 2}
    preferences = [{"InstanceType": name, **({} if for_all else count)} for name in ("ml.m5.large", "ml.m4.xlarge")]
    asked_for = {"VolumeSizeInGB": 1, "InstancePreferences": preferences, **(count if for_all else {})}
    request = bench.request(["cat", "/opt/ml/config/resourceconfig.json"], **cluster(**asked_for))
    bench.sagemaker.create_processing_job(**request)
    job = bench.end(request["ProcessingJobName"])
    assert job["ProcessingResources"]["ClusterConfig"] == {
        **asked_for,
        "SelectedInstanceType": "ml.m5.large",
        "SelectedInstanceCount": 2,
    }
    assert set(bench.logs(request["ProcessingJobName"])) == {"algo-1", "algo-2"}


def test_tags_are_added_listed_and_deleted(bench: Bench):
    name = bench.create(["true"], Tags=[{"Key": "a", "Value": "1"}])
    arn = bench.describe(name)["ProcessingJobArn"]
    bench.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    assert bench.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "a", "Value": "3"},
        {"Key": "b", "Value": "2"},
    ]
    bench.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert bench.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    with pytest.raises(ClientError, match="51 tags, and may have 50"):
        bench.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    bench.end(name)


def test_deleting_frees_the_name_of_an_ended_job_only(bench: Bench):
    name = bench.create(["sleep", "600"])
    with pytest.raises(bench.sagemaker.exceptions.ResourceInUse, match="Only an ended job can be deleted"):
        bench.sagemaker.delete_processing_job(ProcessingJobName=name)
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    bench.end(name)
    bench.sagemaker.delete_processing_job(ProcessingJobName=name)
    assert bench.run(["true"], name=name)["ProcessingJobStatus"] == "Completed"


def test_jobs_of_other_accounts_and_regions_are_not_seen(bench: Bench):
    name = bench.create(["true"])
    for other in (
        bench.server.client("sagemaker", account_id="999999999999"),
        bench.server.client("sagemaker", region="eu-west-1"),
    ):
        with pytest.raises(ClientError, match=f"ValidationException.*Could not find requested job with name: {name}"):
            other.describe_processing_job(ProcessingJobName=name)
    bench.end(name)


def test_transform_jobs_are_refused_since_nobody_would_run_them(bench: Bench):
    with pytest.raises(ClientError) as caught:
        bench.sagemaker.describe_transform_job(TransformJobName="transform")
    assert caught.value.response["Error"] == {
        "Code": "UnknownOperationException",
        "Message": (
            "The local SageMaker runs processing and training jobs only: it can't do DescribeTransformJob for this."
        ),
    }
