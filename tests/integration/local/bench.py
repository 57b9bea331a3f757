"""Run scripts on the local SageMaker, and look at the outcome."""

from __future__ import annotations

import io
import itertools
import tarfile
from typing import TYPE_CHECKING, Any

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_sm_processing.local import LocalSageMaker

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1"
_numbers = itertools.count(1)


def s3_input(name: str, uri: str, path: str, **more: Any) -> dict[str, Any]:
    place = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"} | more
    return {"InputName": name, "S3Input": place}


def s3_output(name: str, uri: str, path: str, mode: str = "EndOfJob") -> dict[str, Any]:
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}


def channel(name: str, uri: str, **more: Any) -> dict[str, Any]:
    """Return a channel of a training job; what isn't a channel's own is its S3 source's."""
    own = {key: more.pop(key) for key in list(more) if not key.startswith("S3")}
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"} | more
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}} | own


def code(files: Mapping[str, str]) -> bytes:
    """Pack files as the SDK packs a source_dir."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


class Bench:
    """A separate bucket on a server, and short ways to try jobs."""

    def __init__(self, server: LocalSageMaker, bucket: str) -> None:
        self.server = server
        self.bucket = bucket
        self.s3 = server.client("s3")
        self.sagemaker = server.client("sagemaker")
        self.cloudwatch = server.client("logs")
        self.s3.create_bucket(Bucket=bucket)

    def put(self, key: str, body: bytes | str) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {item["Key"]: self.s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read() for item in listed}

    def request(
        self, command: Sequence[str], *, name: str | None = None, hosts: int = 1, **more: Any
    ) -> dict[str, Any]:
        return {
            "ProcessingJobName": name or f"job-{next(_numbers)}",
            "RoleArn": f"arn:aws:iam::{self.server.account_id}:role/SageMakerRole",
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": list(command)},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": hosts, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
            },
        } | more

    def training_request(
        self,
        command: Sequence[str] | None,
        *,
        name: str | None = None,
        hosts: int = 1,
        metrics: Mapping[str, str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        algorithm: dict[str, Any] = {"TrainingImage": IMAGE, "TrainingInputMode": "File"}
        if command is not None:
            algorithm["ContainerEntrypoint"] = list(command)
        if metrics:
            algorithm["MetricDefinitions"] = [{"Name": key, "Regex": regex} for key, regex in metrics.items()]
        return {
            "TrainingJobName": name or f"training-{next(_numbers)}",
            "RoleArn": f"arn:aws:iam::{self.server.account_id}:role/SageMakerRole",
            "AlgorithmSpecification": algorithm,
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models/"},
            "ResourceConfig": {"InstanceCount": hosts, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        } | more

    def create_training(self, command: Sequence[str] | None, **more: Any) -> str:
        request = self.training_request(command, **more)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def create_training_script(self, script: str, *, channels: Sequence[dict[str, Any]] = (), **more: Any) -> str:
        """Run a Python script as a training job's entrypoint: from the channel `code`."""
        own = channel("code", self.put(f"code-{next(_numbers)}/script.py", script))
        command = ["python3", "/opt/ml/input/data/code/script.py"]
        return self.create_training(command, InputDataConfig=[*channels, own], **more)

    def describe_training(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        del described["ResponseMetadata"]
        return described

    def end_training(self, name: str) -> dict[str, Any]:
        """Wait until a training job has ended."""

        def ended() -> dict[str, Any] | None:
            described = self.describe_training(name)
            return described if "TrainingEndTime" in described else None

        return wait_until(ended, shows=lambda: self.describe_training(name))

    def train(self, command: Sequence[str] | None, **more: Any) -> dict[str, Any]:
        return self.end_training(self.create_training(command, **more))

    def create(self, command: Sequence[str], **more: Any) -> str:
        request = self.request(command, **more)
        self.sagemaker.create_processing_job(**request)
        return str(request["ProcessingJobName"])

    def create_script(self, script: str, *, inputs: Sequence[dict[str, Any]] = (), **more: Any) -> str:
        """Run a Python script as ScriptProcessor does: from the input `code`, by its absolute path."""
        uri = self.put(f"code-{next(_numbers)}/script.py", script)
        code = s3_input("code", uri, "/opt/ml/processing/input/code")
        command = ["python3", "/opt/ml/processing/input/code/script.py"]
        return self.create(command, ProcessingInputs=[*inputs, code], **more)

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_processing_job(ProcessingJobName=name)
        del described["ResponseMetadata"]
        return described

    def wait_for(self, name: str, *, field: str) -> dict[str, Any]:
        """Wait until a field of the description is there."""

        def having() -> dict[str, Any] | None:
            described = self.describe(name)
            return described if field in described else None

        return wait_until(having, shows=lambda: self.describe(name))

    def end(self, name: str) -> dict[str, Any]:
        return self.wait_for(name, field="ProcessingEndTime")

    def run(self, command: Sequence[str], **more: Any) -> dict[str, Any]:
        return self.end(self.create(command, **more))

    def run_script(self, script: str, **more: Any) -> dict[str, Any]:
        return self.end(self.create_script(script, **more))

    def logs(self, name: str, group: str = LOG_GROUP) -> dict[str, list[str]]:
        """Return the script's own lines by host."""
        return {
            host: [line for line in lines if not line.startswith("[local]")]
            for host, lines in self._lines_by_host(name, group).items()
        }

    def remarks(self, name: str, group: str = LOG_GROUP) -> list[str]:
        """Return the server's own lines in a job's log."""
        found = self._lines_by_host(name, group).values()
        return [line for lines in found for line in lines if line.startswith("[local]")]

    def _lines_by_host(self, name: str, group: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        streams = self.cloudwatch.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
        for stream in streams["logStreams"]:
            host = stream["logStreamName"].partition("/")[2].rpartition("-")[0]
            found[host] = list(self._lines(stream["logStreamName"], group))
        return found

    def _lines(self, stream: str, group: str) -> Iterator[str]:
        token: dict[str, str] = {}
        while True:
            page = self.cloudwatch.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
            yield from (event["message"] for event in page["events"])
            if page["nextForwardToken"] == token.get("nextToken"):
                return
            token = {"nextToken": page["nextForwardToken"]}

    def wait_for_line(self, name: str, line: str, group: str = LOG_GROUP) -> None:
        """Wait until every host has written a line."""

        def written() -> dict[str, list[str]]:
            streams = self.cloudwatch.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            return self.logs(name, group) if streams else {}

        def is_written() -> bool:
            logs = written()
            return bool(logs) and all(line in lines for lines in logs.values())

        wait_until(is_written, shows=written)
