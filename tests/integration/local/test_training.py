"""Training jobs written for the real service run as they are, and end as they do there."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_processing.local import LocalSageMaker, sandbox

from .bench import IMAGE, TRAINING_LOG_GROUP, Bench, channel, code

if TYPE_CHECKING:
    from collections.abc import Mapping


def unpacked(body: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        return {item.name: archive.extractfile(item).read().decode() for item in archive if item.isfile()}  # type: ignore[union-attr]  # it is a file's


def lines(bench: Bench, name: str) -> list[str]:
    return bench.logs(name, TRAINING_LOG_GROUP)["algo-1"]


def wait_for(bench: Bench, name: str, line: str) -> None:
    """Wait until a script has said a line, whatever else is in its log."""
    bench.wait_for_line(name, line, TRAINING_LOG_GROUP)


def script_mode(bench: Bench, files: Mapping[str, str], *, program: str = "train.py", **given: Any) -> dict[str, Any]:
    """Return hyperparameters as the SDK sends them: each as JSON."""
    bench.s3.put_object(Bucket=bench.bucket, Key="code/sourcedir.tar.gz", Body=code(files))
    bench.s3.put_object(Bucket=bench.bucket, Key="code/sourcedir.tar.gz.old", Body=b"no archive")
    own = {
        "sagemaker_program": program,
        "sagemaker_submit_directory": f"s3://{bench.bucket}/code/sourcedir.tar.gz",
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": "a-job",
        "sagemaker_region": "us-east-1",
    }
    return {"HyperParameters": {name: json.dumps(value) for name, value in (own | given).items()}}


def test_a_job_finds_its_channels_and_leaves_a_model(bench: Bench):
    bench.put("in/train/a.csv", "1,2\n")
    bench.put("in/train/deep/b.csv", "3\n")
    bench.put("in/test/c.csv", "4\n")
    bench.put("manifest", json.dumps([{"prefix": f"s3://{bench.bucket}/in/"}, "train/a.csv"]))
    script = """
import json, os, pathlib
for path in sorted(pathlib.Path("/opt/ml/input/data").rglob("*")):
    if "code" not in str(path): print(path, path.read_text().strip() if path.is_file() else "")
for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
    print(json.dumps(json.load(open(f"/opt/ml/input/config/{name}.json")), sort_keys=True))
print(os.environ["TRAINING_JOB_NAME"], os.environ["OWN"])
pathlib.Path("/opt/ml/model/model.json").write_text("{}")
pathlib.Path("/opt/ml/model/deep").mkdir()
pathlib.Path("/opt/ml/model/deep/more").write_text("more")
pathlib.Path("/opt/ml/output/data/plot").write_text("plot")
"""
    name = bench.create_training_script(
        script,
        HyperParameters={"epochs": "3", "name": '"a b"'},
        Environment={"OWN": "1"},
        channels=[
            channel("train", f"s3://{bench.bucket}/in/train/", ContentType="text/csv", InputMode="FastFile"),
            channel("test", f"s3://{bench.bucket}/in/test/"),
            channel("listed", f"s3://{bench.bucket}/manifest", S3DataType="ManifestFile"),
        ],
    )
    job = bench.end_training(name)
    assert job["TrainingJobStatus"] == "Completed", job
    data = "/opt/ml/input/data"
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]}
    resources = {
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.xlarge",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
    file_mode = {"RecordWrapperType": "None", "S3DistributionType": "FullyReplicated", "TrainingInputMode": "File"}
    assert lines(bench, name) == [
        f"{data}/listed ",
        f"{data}/listed/train ",
        f"{data}/listed/train/a.csv 1,2",
        f"{data}/test ",
        f"{data}/test/c.csv 4",
        f"{data}/train ",
        f"{data}/train/a.csv 1,2",
        f"{data}/train/deep ",
        f"{data}/train/deep/b.csv 3",
        '{"epochs": "3", "name": "\\"a b\\""}',
        json.dumps(
            {
                "code": file_mode,
                "listed": file_mode,
                "test": file_mode,
                "train": {"ContentType": "text/csv", **file_mode, "TrainingInputMode": "FastFile"},
            },
            sort_keys=True,
        ),
        json.dumps(resources, sort_keys=True),
        f"{name} 1",
    ]
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://{bench.bucket}/models/{name}/output/model.tar.gz"}
    made = bench.objects(f"models/{name}/")
    assert {key: unpacked(body) for key, body in made.items()} == {
        f"models/{name}/output/model.tar.gz": {"model.json": "{}", "deep/more": "more"},
        f"models/{name}/output/output.tar.gz": {"plot": "plot"},
    }


def test_a_description_has_the_request_and_the_statuses(bench: Bench):
    request = bench.training_request(["true"], Tags=[{"Key": "team", "Value": "a"}])
    arn = bench.sagemaker.create_training_job(**request)["TrainingJobArn"]
    job = bench.end_training(request["TrainingJobName"])
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{request['TrainingJobName']}"
    transitions = job.pop("SecondaryStatusTransitions")
    assert [item["Status"] for item in transitions] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(item["StartTime"] <= item["EndTime"] for item in transitions)
    assert all(item["StatusMessage"] for item in transitions)
    times = [job.pop(name) for name in ("CreationTime", "TrainingStartTime", "TrainingEndTime")]
    assert times == sorted(times)
    assert job.pop("LastModifiedTime") == times[2]
    assert job.pop("TrainingTimeInSeconds") == job.pop("BillableTimeInSeconds")
    assert bench.sagemaker.list_tags(ResourceArn=arn)["Tags"] == request.pop("Tags")
    assert job == {
        **request,
        "TrainingJobArn": arn,
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "ModelArtifacts": {
            "S3ModelArtifacts": f"s3://{bench.bucket}/models/{job['TrainingJobName']}/output/model.tar.gz"
        },
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
    }


def test_hosts_share_the_keys_and_their_models_become_one(bench: Bench):
    for number in range(3):
        bench.put(f"in/{number}", str(number))
    script = """
import json, os
hosts = json.load(open("/opt/ml/input/config/resourceconfig.json"))
me = hosts["current_host"]
print(hosts["hosts"], sorted(os.listdir("/opt/ml/input/data/part")), sorted(os.listdir("/opt/ml/input/data/all")))
print(hosts["network_interface_name"])
open(f"/opt/ml/model/{me}", "w").write(me)
open("/opt/ml/model/shared", "w").write(me)
"""
    uri = f"s3://{bench.bucket}/in/"
    sharded = channel("part", uri, S3DataDistributionType="ShardedByS3Key")
    name = bench.create_training_script(script, hosts=2, channels=[sharded, channel("all", uri)])
    assert bench.end_training(name)["TrainingJobStatus"] == "Completed"
    hosts, every = "['algo-1', 'algo-2']", "['0', '1', '2']"
    interface = "eth0" if sandbox.can_be_own(bench.server.isolation) else "lo"
    assert bench.logs(name, TRAINING_LOG_GROUP) == {
        "algo-1": [f"{hosts} ['0', '2'] {every}", interface],
        "algo-2": [f"{hosts} ['1'] {every}", interface],
    }
    (model,) = bench.objects(f"models/{name}/").values()
    assert unpacked(model) == {"algo-1": "algo-1", "algo-2": "algo-2", "shared": "algo-1"}
    assert "[local] Not uploaded: shared, for algo-1 has a file of this name." in bench.remarks(
        name, TRAINING_LOG_GROUP
    )


def test_a_failed_job_says_what_its_script_wrote_and_leaves_no_model(bench: Bench):
    script = """
open("/opt/ml/model/model", "w").write("half")
open("/opt/ml/output/failure", "w").write("no data" + "x" * 2000)
raise SystemExit(3)
"""
    name = bench.create_training_script(script)
    job = bench.end_training(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: no dataxxx")
    assert job["FailureReason"].endswith("xxx, exit code: 3")
    assert len(job["FailureReason"]) == 1024
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job failed"
    assert "ModelArtifacts" not in job
    assert bench.objects(f"models/{name}/") == {}


def test_a_failure_file_of_a_job_that_succeeds_is_ignored(bench: Bench):
    job = bench.train(["sh", "-c", "echo no > /opt/ml/output/failure"])
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)


@pytest.mark.parametrize("uri", ["s3://{bucket}/nothing/", "s3://no-such-bucket-at-all/in", "s3://[x"])
def test_a_job_is_not_created_if_its_data_is_not_there(bench: Bench, uri: str):
    uri = uri.format(bucket=bench.bucket)
    with pytest.raises(ClientError) as caught:
        bench.create_training(["true"], name="without-data", InputDataConfig=[channel("train", uri)])
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(f'No S3 objects found under S3 URL "{uri}" given in input data source.')
    assert bench.sagemaker.list_training_jobs(NameContains="without-data")["TrainingJobSummaries"] == []


def test_a_manifest_that_is_not_there_fails_the_job(bench: Bench):
    manifest = channel("train", f"s3://{bench.bucket}/nothing", S3DataType="ManifestFile")
    job = bench.train(["true"], InputDataConfig=[manifest])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed")
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == ["Starting", "Downloading", "Failed"]


WAIT = """
import pathlib, signal, time
def end(*_):
    pathlib.Path("/opt/ml/model/model").write_text("so far")
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True: time.sleep(0.05)
"""


def test_a_stopped_job_keeps_its_model(bench: Bench):
    name = bench.create_training_script(WAIT)
    wait_for(bench, name, "ready")
    bench.sagemaker.stop_training_job(TrainingJobName=name)
    job = bench.end_training(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]][-3:] == ["Stopping", "Uploading", "Stopped"]
    (model,) = bench.objects(f"models/{name}/").values()
    assert unpacked(model) == {"model": "so far"}
    with pytest.raises(ClientError, match="rejected because the training job is in status Stopped"):
        bench.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_whose_time_runs_out_is_stopped_and_keeps_its_model(bench: Bench):
    name = bench.create_training_script(WAIT, StoppingCondition={"MaxRuntimeInSeconds": 2})
    job = bench.end_training(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "exceeded MaxRuntimeInSeconds" in job["SecondaryStatusTransitions"][-1]["StatusMessage"]


def test_checkpoints_come_and_go_while_the_job_runs(bench: Bench):
    bench.put("checkpoints/1", "one")
    script = """
import os, pathlib, time
folder = pathlib.Path("/opt/ml/checkpoints")
print(sorted(os.listdir(folder)))
(folder / "2").write_text("two")
while not (folder / "end").exists(): time.sleep(0.05)
"""
    name = bench.create_training_script(script, CheckpointConfig={"S3Uri": f"s3://{bench.bucket}/checkpoints"})
    while bench.objects("checkpoints/") != {"checkpoints/1": b"one", "checkpoints/2": b"two"}:
        assert "TrainingEndTime" not in bench.describe_training(name)
    bench.sagemaker.stop_training_job(TrainingJobName=name)
    assert bench.end_training(name)["TrainingJobStatus"] == "Stopped"
    assert lines(bench, name) == ["['1']"]


def test_the_checkpoints_of_a_failed_job_are_kept(bench: Bench):
    place = {"S3Uri": f"s3://{bench.bucket}/kept/", "LocalPath": "/opt/ml/own"}
    bench.train(["sh", "-c", "echo 1 > /opt/ml/own/1; exit 1"], CheckpointConfig=place)
    assert bench.objects("kept/") == {"kept/1": b"1\n"}


def test_the_last_value_of_each_metric_is_described(bench: Bench):
    script = r"print('loss=0.5; acc 0.1\nloss=0.25;\nacc 1e-2 acc nan\nloss=none;')"
    metrics = {"loss": "loss=([^;]*);", "acc": "acc ([^ ]+)", "none": "nothing=(.*)"}
    name = bench.create_training_script(script, metrics=metrics)
    found = bench.end_training(name)["FinalMetricDataList"]
    assert {item["MetricName"]: item["Value"] for item in found} == pytest.approx({"loss": 0.25, "acc": 0.01})


def test_a_model_may_stay_unpacked(bench: Bench):
    output = {"S3OutputPath": f"s3://{bench.bucket}/plain", "CompressionType": "NONE"}
    name = bench.create_training(
        ["sh", "-c", "echo 1 > /opt/ml/model/a; echo 2 > /opt/ml/output/data/b"], OutputDataConfig=output
    )
    job = bench.end_training(name)
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bench.bucket}/plain/{name}/output/model/"
    assert bench.objects("plain/") == {
        f"plain/{name}/output/model/a": b"1\n",
        f"plain/{name}/output/data/b": b"2\n",
    }


SCRIPT = """
import argparse, json, os, helper
parser = argparse.ArgumentParser()
parser.add_argument("--max-depth", type=int)
parser.add_argument("--name")
parser.add_argument("--flag")
parser.add_argument("-n", type=float)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
given = parser.parse_args()
print(given)
print(os.getcwd(), sorted(name for name in os.listdir() if "cache" not in name), helper.VALUE)
names = ("SM_HOSTS", "SM_CURRENT_HOST", "SM_CHANNELS", "SM_HPS", "SM_HP_MAX-DEPTH", "SM_OUTPUT_DATA_DIR", "SM_NUM_GPUS",
         "SM_USER_ENTRY_POINT", "SM_MODULE_NAME", "SM_INPUT_DIR", "SM_FRAMEWORK_PARAMS")
print({name: os.environ[name] for name in names})
open(os.path.join(given.model_dir, "model"), "w").write(open(os.path.join(given.train, "a")).read())
"""  # fmt: skip


def test_script_mode_runs_the_script_as_the_framework_images_do(bench: Bench):
    bench.put("data/a", "learnt")
    files = {"train.py": SCRIPT, "helper.py": "VALUE = 1"}
    hyperparameters = script_mode(bench, files, **{"max-depth": 3, "name": "a b", "flag": True, "n": 0.5})
    name = bench.create_training(
        None, InputDataConfig=[channel("train", f"s3://{bench.bucket}/data")], **hyperparameters
    )
    job = bench.end_training(name)
    assert job["TrainingJobStatus"] == "Completed", lines(bench, name)
    assert lines(bench, name)[1:-1] == [
        (
            "Namespace(max_depth=3, name='a b', flag='True', n=0.5, model_dir='/opt/ml/model', "
            "train='/opt/ml/input/data/train')"
        ),
        "/opt/ml/code ['helper.py', 'train.py'] 1",
        str(
            {
                "SM_HOSTS": '["algo-1"]',
                "SM_CURRENT_HOST": "algo-1",
                "SM_CHANNELS": '["train"]',
                "SM_HPS": '{"flag":true,"max-depth":3,"n":0.5,"name":"a b"}',
                "SM_HP_MAX-DEPTH": "3",
                "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
                "SM_NUM_GPUS": "0",
                "SM_USER_ENTRY_POINT": "train.py",
                "SM_MODULE_NAME": "train",
                "SM_INPUT_DIR": "/opt/ml/input",
                "SM_FRAMEWORK_PARAMS": "{}",
            }
        ),
    ]
    (model,) = bench.objects(f"models/{name}/").values()
    assert unpacked(model) == {"model": "learnt"}


def test_a_script_that_fails_says_why_in_the_failure_reason(bench: Bench):
    given = script_mode(bench, {"train.py": "print('begun', flush=True)\nraise ValueError('too few rows')"}, epochs=1)
    name = bench.create_training(None, **given)
    reason = bench.end_training(name)["FailureReason"]
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert "ValueError: too few rows" in reason
    assert reason.endswith('train.py --epochs 1", exit code: 1')
    assert {"begun", "ValueError: too few rows"} <= {*lines(bench, name)}


def test_script_mode_finds_its_paths_without_a_private_opt_ml(bench_factory: Any):
    with LocalSageMaker(isolation="folder", account_id="222222222222") as server:
        bench = bench_factory(server)
        bench.put("data/a", "learnt")
        text = """
import os, shutil
shutil.copy(os.environ["SM_CHANNEL_TRAIN"] + "/a", os.environ["SM_MODEL_DIR"])
"""
        given = script_mode(bench, {"train.py": text})
        name = bench.create_training(None, InputDataConfig=[channel("train", f"s3://{bench.bucket}/data/")], **given)
        assert bench.end_training(name)["TrainingJobStatus"] == "Completed", lines(bench, name)
        (model,) = bench.objects(f"models/{name}/").values()
        assert unpacked(model) == {"a": "learnt"}


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        ({"other.py": ""}, {}, "sagemaker_program is 'train.py', and the code has other.py."),
        ({"train.py": "", "requirements.txt": "no such thing"}, {}, "InstallRequirementsError:\nExitCode 1"),
        ({"train.py": ""}, {"sagemaker_submit_directory": "/opt/ml/input/data/none"}, "can't be unpacked"),
    ],
)
def test_code_that_cannot_be_run_fails_the_job_with_the_reason(bench: Bench, files: Any, given: Any, said: str):
    job = bench.train(None, **script_mode(bench, files, **given))
    assert said in job["FailureReason"]


def test_a_program_that_is_not_python_is_run_by_the_shell(bench: Bench):
    text = '#!/bin/sh\necho "$2" > "$SM_MODEL_DIR/model"\n'
    name = bench.create_training(None, **script_mode(bench, {"run.sh": text}, program="run.sh", name="it's"))
    assert bench.end_training(name)["TrainingJobStatus"] == "Completed"
    (model,) = bench.objects(f"models/{name}/").values()
    assert unpacked(model) == {"model": "it's\n"}


def test_a_script_in_script_mode_gets_the_stop(bench: Bench):
    name = bench.create_training(None, **script_mode(bench, {"train.py": WAIT}))
    wait_for(bench, name, "ready")
    bench.sagemaker.stop_training_job(TrainingJobName=name)
    assert bench.end_training(name)["TrainingJobStatus"] == "Stopped"
    (model,) = bench.objects(f"models/{name}/").values()
    assert unpacked(model) == {"model": "so far"}


def algorithm(**fields: Any) -> dict[str, Any]:
    return {"AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", **fields}}


RUNS = {"ContainerEntrypoint": ["true"]}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a built-in algorithm": (
        algorithm(),
        "nor SageMaker's built-in algorithms. Give ContainerEntrypoint, or script mode",
    ),
    "an algorithm of the account": (
        {"AlgorithmSpecification": {"AlgorithmName": "mine", "TrainingInputMode": "File", **RUNS}},
        "has no algorithms from AWS Marketplace",
    ),
    "no algorithm": ({"AlgorithmSpecification": {"TrainingInputMode": "File", **RUNS}}, "exactly one of TrainingImage"),
    "arguments for an unknown entrypoint": (
        algorithm(ContainerArguments=["a"]),
        "no ENTRYPOINT for ContainerArguments",
    ),
    "a program in the image": (
        {**algorithm(), "HyperParameters": {"sagemaker_program": "a.py"}},
        "script mode's hyperparameters sagemaker_program and sagemaker_submit_directory",
    ),
    "code elsewhere": (
        {**algorithm(), "HyperParameters": {"sagemaker_program": "a.py", "sagemaker_submit_directory": '"/tmp/code"'}},
        "must be an s3:// URI or a path below /opt/ml",
    ),
    "MPI": (
        {
            **algorithm(),
            "HyperParameters": {
                "sagemaker_program": "a.py",
                "sagemaker_submit_directory": "s3://b/k",
                "sagemaker_mpi_enabled": "true",
            },
        },
        "no launcher for sagemaker_mpi_enabled",
    ),
    "a regex that is none": (
        algorithm(**RUNS, MetricDefinitions=[{"Name": "a", "Regex": "("}]),
        "the Regex '(' of 'a' isn't understood",
    ),
    "an empty word": (algorithm(ContainerEntrypoint=["a", ""]), "ContainerEntrypoint can't have an empty string"),
    "pipes": ({"InputDataConfig": [channel("a", "s3://b/k", InputMode="Pipe")]}, "no FIFO pipes (channel 'a')"),
    "a channel twice": ({"InputDataConfig": [channel("a", "s3://b/k")] * 2}, "ChannelName 'a' is used 2 times"),
    "a channel above": ({"InputDataConfig": [channel("..", "s3://b/k")]}, "its name can't be a folder's"),
    "packed data": (
        {"InputDataConfig": [channel("a", "s3://b/k", CompressionType="Gzip")]},
        "CompressionType Gzip is supported for InputMode Pipe only",
    ),
    "shuffling": ({"InputDataConfig": [channel("a", "s3://b/k", ShuffleConfig={"Seed": 1})]}, "doesn't shuffle"),
    "an augmented manifest": (
        {"InputDataConfig": [channel("a", "s3://b/k", S3DataType="AugmentedManifestFile")]},
        "no S3DataType AugmentedManifestFile",
    ),
    "no data source": ({"InputDataConfig": [{"ChannelName": "a", "DataSource": {}}]}, "exactly one DataSource"),
    "a file system": (
        {
            "InputDataConfig": [
                {
                    "ChannelName": "a",
                    "DataSource": {
                        "FileSystemDataSource": {
                            "FileSystemId": "fs-12345678",
                            "FileSystemAccessMode": "ro",
                            "FileSystemType": "EFS",
                            "DirectoryPath": "/",
                        }
                    },
                }
            ]
        },
        "has no file systems and no data sets (channel 'a')",
    ),
    "instance groups": (
        {"ResourceConfig": {"InstanceGroups": [], "VolumeSizeInGB": 1}},
        "Give InstanceType and InstanceCount instead of InstanceGroups",
    ),
    "no instances": (
        {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0, "VolumeSizeInGB": 1}},
        "InstanceCount is 0, and must be at least 1",
    ),
    "too many instances": (
        {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 255, "VolumeSizeInGB": 1}},
        "addresses for 254 hosts",
    ),
    "no resources": ({"ResourceConfig": {}}, "ResourceConfig must have exactly one of InstanceType"),
    "a short wait": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
        "MaxWaitTimeInSeconds is 59, and must be at least MaxRuntimeInSeconds, which is 60",
    ),
    "checkpoints elsewhere": (
        {"CheckpointConfig": {"S3Uri": "s3://b/k", "LocalPath": "/tmp/checkpoints"}},
        "LocalPath '/tmp/checkpoints' must be under /opt/ml",
    ),
    "checkpoints in the model": (
        {"CheckpointConfig": {"S3Uri": "s3://b/k", "LocalPath": "/opt/ml/model/checkpoints"}},
        "overlaps /opt/ml/model",
    ),
    "AWS's tags": ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "can't begin with 'aws:'"),
    "a serverless job": (
        {"MlflowConfig": {"MlflowResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/a"}},
        "can't do what MlflowConfig asks for",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_do_is_refused_with_the_reason(bench: Bench, case: str):
    changes, said = REFUSED[case]
    with pytest.raises(ClientError) as caught:
        bench.sagemaker.create_training_job(**bench.training_request(["true"]) | changes)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert said in caught.value.response["Error"]["Message"]


def test_what_has_no_effect_is_said_in_the_log(bench: Bench):
    name = bench.create_training(
        ["true"],
        DebugHookConfig={"S3OutputPath": "s3://b/debug"},
        ProfilerConfig={"DisableProfiler": True},
        EnableNetworkIsolation=True,
    )
    assert bench.end_training(name)["TrainingJobStatus"] == "Completed"
    said = bench.remarks(name, TRAINING_LOG_GROUP)
    assert "[local] Without effect here: DebugHookConfig, ProfilerConfig." in said
    assert "[local] EnableNetworkIsolation isn't enforced here." in said


def test_names_are_shared_with_no_processing_job(bench: Bench):
    bench.end(bench.create(["true"], name="one-name"))
    assert bench.train(["true"], name="one-name")["TrainingJobStatus"] == "Completed"
    with pytest.raises(bench.sagemaker.exceptions.ResourceInUse, match="training-job/one-name"):
        bench.create_training(["true"], name="one-name")
    bench.sagemaker.delete_processing_job(ProcessingJobName="one-name")
    assert bench.describe_training("one-name")["TrainingJobStatus"] == "Completed"
    for call in (bench.sagemaker.describe_training_job, bench.sagemaker.stop_training_job):
        with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
            call(TrainingJobName="no-such-job")


def test_jobs_are_listed_with_filters_and_pages(bench: Bench):
    client = bench.sagemaker
    for number, command in enumerate(["true", "false", "true"]):
        bench.train([command], name=f"listed-{number}")
    query = {"NameContains": "LISTED-", "SortBy": "Name", "SortOrder": "Descending"}
    pages = client.get_paginator("list_training_jobs").paginate(**query, PaginationConfig={"PageSize": 1})
    found = [item for page in pages for item in page["TrainingJobSummaries"]]
    assert [(item["TrainingJobName"], item["TrainingJobStatus"]) for item in found] == [
        ("listed-2", "Completed"),
        ("listed-1", "Failed"),
        ("listed-0", "Completed"),
    ]
    assert {item["SecondaryStatus"] for item in found} == {"Completed", "Failed"}
    failed = client.list_training_jobs(NameContains="listed-", StatusEquals="Failed")["TrainingJobSummaries"]
    assert [item["TrainingJobName"] for item in failed] == ["listed-1"]
    assert client.list_training_jobs(WarmPoolStatusEquals="Available")["TrainingJobSummaries"] == []


def test_tags_are_added_to_and_deleted_from_a_training_job(bench: Bench):
    name = bench.create_training(["true"])
    arn = bench.end_training(name)["TrainingJobArn"]
    bench.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    bench.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert bench.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    bench.sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        bench.sagemaker.list_tags(ResourceArn=arn)


def test_faults_reach_training_jobs_by_their_names(bench: Bench):
    bench.server.set_faults("RunTrainingJob:error=CapacityError,job=big-*", "DescribeTrainingJob:error=Broken,job=x-*")
    try:
        assert bench.train(["true"], name="big-one")["FailureReason"].startswith("CapacityError: Unable to provision")
        with pytest.raises(ClientError, match="Broken"):
            bench.describe_training("x-1")
    finally:
        bench.server.set_faults()
