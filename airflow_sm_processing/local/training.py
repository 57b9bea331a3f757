"""Training jobs: the rules of their requests, and what their containers find.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html describes the container.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local.jobs import Job, Place, Source, Stage, Status, Target
from airflow_sm_processing.local.validation import (
    LOCAL,
    duplicates,
    empty_words,
    path_problems,
    raise_all,
    reserved_tags,
    resource_problems,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TOOLKIT = "train"  # runs script mode in AWS's framework images, see `training_toolkit.py`
_ML = PurePosixPath("/opt/ml")
_CODE, _DATA = "/opt/ml/code", "/opt/ml/input/data"
_CHECKPOINTS, _TENSORBOARD = "/opt/ml/checkpoints", "/opt/ml/output/tensorboard"
_GROUP = "homogeneousCluster"  # SageMaker's name for the hosts of a job without InstanceGroups
_DEFAULT_RUNTIME = 24 * 60 * 60  # MaxRuntimeInSeconds' default in the API reference
_MAX_HOSTS = 254  # as many as the network of a job's hosts has addresses
_MESSAGES: Mapping[str, str] = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
_WITHOUT_EFFECT = (
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "EnableManagedSpotTraining",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "RemoteDebugConfig",
    "RetryStrategy",
)
# Hyperparameters of script mode that start the script with another program, such as sagemaker_mpi_enabled.
_LAUNCHER = re.compile(r"sagemaker_\w+_enabled")


class TrainingJob(Job):
    """A training job."""

    kind = "Training"
    fixed_folders = ("input/config", "input/data", "model", "output/data", "code")
    failure_file = "failure"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._is_late = False
        self._metrics: dict[str, dict[str, Any]] = {}
        definitions = self.request["AlgorithmSpecification"].get("MetricDefinitions", [])
        self._patterns = {item["Name"]: re.compile(item["Regex"]) for item in definitions}

    @classmethod
    def check(cls, request: Mapping[str, Any]) -> None:
        """Check the rules across a request's fields."""
        raise_all(
            [
                *_algorithm(request),
                *_channels(request),
                *_resources(request.get("ResourceConfig", {})),
                *_stopping(request),
                *_paths(request),
                *reserved_tags(request.get("Tags", [])),
                *_unsupported(request),
                *_program(request),
            ]
        )

    @classmethod
    def not_found(cls, name: str) -> str:  # noqa: ARG003  # the service doesn't say the name
        """Return the service's message for a job that doesn't exist."""
        return "Requested resource not found."

    @property
    def resources(self) -> Mapping[str, Any]:
        """The request's ResourceConfig."""
        config: Mapping[str, Any] = self.request["ResourceConfig"]
        return config

    @property
    def max_runtime(self) -> int:
        """The number of seconds that the commands may take."""
        return super().max_runtime or _DEFAULT_RUNTIME

    @property
    def image_uri(self) -> str:
        """The image whose Python runs the command."""
        return str(self.request["AlgorithmSpecification"]["TrainingImage"])

    @property
    def program(self) -> str | None:
        """The program that runs script mode, if the job uses it."""
        return None if "ContainerEntrypoint" in self.request["AlgorithmSpecification"] else _TOOLKIT

    def command(self) -> list[str]:
        """Return the command that each host runs."""
        specification = self.request["AlgorithmSpecification"]
        if self.program:
            return [self.program]
        return [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]

    def environment(self) -> dict[str, str]:
        """Return the environment variables beyond those of every container."""
        return {"TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self.arn, **super().environment()}

    def config_files(self, place: Place) -> dict[str, Mapping[str, Any]]:
        """Return the hyperparameters, the channels and the hosts."""
        resources = {
            "current_host": place.host,
            "current_instance_type": self.instance_type,
            "current_group_name": _GROUP,
            "hosts": place.hosts,
            "instance_groups": [
                {"instance_group_name": _GROUP, "instance_type": self.instance_type, "hosts": place.hosts}
            ],
            "network_interface_name": place.interface,
        }
        return {
            "input/config/hyperparameters.json": self.request.get("HyperParameters", {}),
            "input/config/inputdataconfig.json": {
                channel["ChannelName"]: _channel_config(channel, self.request)
                for channel in self.request.get("InputDataConfig", [])
            },
            "input/config/resourceconfig.json": resources,
        }

    def sources(self) -> list[Source]:
        """Return the channels, the checkpoints of an earlier job, and script mode's code."""
        found = [_channel_source(channel) for channel in self.request.get("InputDataConfig", [])]
        if checkpoints := self.request.get("CheckpointConfig"):
            path = checkpoints.get("LocalPath", _CHECKPOINTS)
            found.append(Source(uri=checkpoints["S3Uri"], path=path, is_optional=True))
        submitted = _script_setting(self.request, "sagemaker_submit_directory")
        if self.program and submitted.startswith("s3://"):
            found.append(Source(uri=submitted, path=_CODE, is_object=True))
        return found

    def targets(self) -> list[Target]:
        """Return the folders of the model, the other output, the checkpoints and TensorBoard's files."""
        kms_key = self.request["OutputDataConfig"].get("KmsKeyId")
        found = [
            Target(uri=self._output(name), path=path, is_archive=self._is_packed, kms_key=kms_key)
            for name, path in (("model", "/opt/ml/model"), ("output", "/opt/ml/output/data"))
        ]
        if checkpoints := self.request.get("CheckpointConfig"):
            path = checkpoints.get("LocalPath", _CHECKPOINTS)
            found.append(Target(uri=checkpoints["S3Uri"], path=path, is_continuous=True, is_restored=True))
        if board := self.request.get("TensorBoardOutputConfig"):
            uri = f"{board['S3OutputPath'].rstrip('/')}/{self.name}/tensorboard-output"
            found.append(Target(uri=uri, path=board.get("LocalPath", _TENSORBOARD), is_continuous=True))
        return found

    @property
    def _is_packed(self) -> bool:
        return bool(self.request["OutputDataConfig"].get("CompressionType") != "NONE")

    def _output(self, name: str) -> str:
        base = f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"
        if self._is_packed:
            return f"{base}/{name}.tar.gz"
        return f"{base}/{'data' if name == 'output' else name}/"

    def remarks(self) -> list[str]:
        """Return remarks on fields of the request that have no effect here."""
        ignored = [name for name in _WITHOUT_EFFECT if self.request.get(name)]
        ignored += ["KeepAlivePeriodInSeconds"] * bool(self.resources.get("KeepAlivePeriodInSeconds"))
        return [f"Without effect here: {', '.join(ignored)}."] if ignored else []

    def note_output(self, lines: Sequence[str]) -> None:
        """Look for metrics in lines that the commands print; the last value of each metric counts."""
        now = datetime.now(timezone.utc)
        for name, pattern in self._patterns.items():
            found = [match for line in lines for match in pattern.finditer(line)]
            values = [value for match in found if (value := _number(match)) is not None]
            if values:
                with self.wake:
                    self._metrics[name] = {"MetricName": name, "Value": values[-1], "Timestamp": now}

    def enter(self, stage: Stage) -> None:
        """Begin a phase; the job's description shows it."""
        with self.wake:
            super().enter(stage)
            self.modified = self.stages[-1][1]

    def run_out(self) -> str | None:
        """Remember that the job's time ran out, which SecondaryStatus shows; there is no FailureReason for it."""
        self._is_late = True
        return None

    def summary_details(self) -> dict[str, Any]:
        """Return the fields of List's response that only training jobs have."""
        return {"SecondaryStatus": self._secondary_status()}

    def _secondary_status(self) -> str:
        if not self.status.is_terminal:
            return self.stages[-1][0].value
        return "MaxRuntimeExceeded" if self._is_late and self.status is Status.STOPPED else self.status.value

    def details(self) -> dict[str, Any]:
        """Return the fields of Describe's response that are neither in the request nor in the summary."""
        has_model = self.started and self.status in {Status.COMPLETED, Status.STOPPED}
        seconds = int((self.ended - self.started).total_seconds()) if self.started and self.ended else None
        return {
            "ResourceConfig": self.cluster,
            "StoppingCondition": {"MaxRuntimeInSeconds": self.max_runtime, **self.request.get("StoppingCondition", {})},
            "ModelArtifacts": {"S3ModelArtifacts": self._output("model")} if has_model else None,
            "TrainingStartTime": self.started,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
            "SecondaryStatusTransitions": self._transitions(),
            "FinalMetricDataList": list(self._metrics.values()) or None,
            "FailureReason": self.failure_reason,
            **{name: bool(self.request.get(name)) for name in _SWITCHES},
        }

    def _transitions(self) -> list[dict[str, Any]]:
        starts = [(stage.value, start) for stage, start in self.stages]
        if self.ended:
            starts.append((self._secondary_status(), self.ended))
        ends = [start for _, start in starts[1:]] + [self.ended]
        found = [
            {"Status": status, "StartTime": start, "EndTime": end, "StatusMessage": _MESSAGES[status]}
            for (status, start), end in zip(starts, ends, strict=True)
        ]
        return [{name: value for name, value in item.items() if value is not None} for item in found]


_SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")


def _number(match: re.Match[str]) -> float | None:
    """Return a metric's value; None for one that JSON can't represent."""
    try:
        value = float(match[1] if match.re.groups else match[0])
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _channel_config(channel: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    content_type = {"ContentType": channel["ContentType"]} if "ContentType" in channel else {}
    return {
        **content_type,
        "TrainingInputMode": _input_mode(channel, request),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }


def _input_mode(channel: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    return str(channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"]))


def _channel_source(channel: Mapping[str, Any]) -> Source:
    source = channel["DataSource"]["S3DataSource"]
    return Source(
        uri=source["S3Uri"],
        path=f"{_DATA}/{channel['ChannelName']}",
        is_manifest=source["S3DataType"] == "ManifestFile",
        is_sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
        is_looked_for=source["S3DataType"] == "S3Prefix",
    )


def _script_setting(request: Mapping[str, Any], name: str) -> str:
    """Return a setting of script mode from a hyperparameter, JSON or plain, or a variable; empty if not set."""
    value = request.get("HyperParameters", {}).get(name)
    if value is None:
        return str(request.get("Environment", {}).get(name.upper(), ""))
    return str(_decoded(value))


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


# The rules of a request


def _algorithm(request: Mapping[str, Any]) -> Iterator[str]:
    specification = request["AlgorithmSpecification"]
    if ("TrainingImage" in specification) == ("AlgorithmName" in specification):
        yield "AlgorithmSpecification must have exactly one of TrainingImage and AlgorithmName."
    yield from empty_words(specification)
    definitions = specification.get("MetricDefinitions", [])
    yield from duplicates("MetricDefinitions", "Name", (item["Name"] for item in definitions))
    for item in definitions:
        try:
            re.compile(item["Regex"])
        except (re.error, RecursionError, OverflowError) as error:
            yield f"MetricDefinitions: the Regex {item['Regex']!r} of '{item['Name']}' isn't understood: {error}."


def _channels(request: Mapping[str, Any]) -> Iterator[str]:
    channels = request.get("InputDataConfig", [])
    yield from duplicates("InputDataConfig", "ChannelName", (item["ChannelName"] for item in channels))
    for item in channels:
        name = f"Channel '{item['ChannelName']}'"
        if item["ChannelName"] in {".", ".."}:
            yield f"{name}: its name can't be a folder's in {_DATA}."
        if len(item["DataSource"]) != 1:
            yield f"{name} must have exactly one DataSource."
        if _input_mode(item, request) != "Pipe":
            for field in ("CompressionType", "RecordWrapperType"):
                if item.get(field, "None") != "None":
                    yield f"{name}: {field} {item[field]} is supported for InputMode Pipe only."


def _resources(config: Mapping[str, Any]) -> Iterator[str]:
    if "InstanceGroups" in config:
        yield f"{LOCAL} has hosts of one kind only. Give InstanceType and InstanceCount instead of InstanceGroups."
        return
    yield from resource_problems(config, "ResourceConfig")
    for item in (config, *config.get("InstancePreferences", [])):
        count = item.get("InstanceCount", 1)
        if count < 1:
            yield f"InstanceCount is {count}, and must be at least 1."
        if count > _MAX_HOSTS:
            yield f"{LOCAL} has addresses for {_MAX_HOSTS} hosts of a job, and InstanceCount is {count}."


def _stopping(request: Mapping[str, Any]) -> Iterator[str]:
    condition = request.get("StoppingCondition", {})
    limit, wait = condition.get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME), condition.get("MaxWaitTimeInSeconds")
    if wait is not None and wait < limit:
        yield f"MaxWaitTimeInSeconds is {wait}, and must be at least MaxRuntimeInSeconds, which is {limit}."


def _paths(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the folders that the user chose for uploads."""
    for name in ("CheckpointConfig", "TensorBoardOutputConfig"):
        path = request.get(name, {}).get("LocalPath")
        if path is None:
            continue
        yield from path_problems(name, path, under=_ML, may_be_root=False)
        for taken in (_DATA, "/opt/ml/input/config", "/opt/ml/model", "/opt/ml/output/data", _CODE):
            own, other = PurePosixPath(path), PurePosixPath(taken)
            if own == other or own in other.parents or other in own.parents:
                yield f"{name}: LocalPath '{path}' overlaps {taken}, which has a meaning of its own."


def _unsupported(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the real service supports and this one doesn't, so that no job silently differs from its request."""
    for item in request.get("InputDataConfig", []):
        yield from _unsupported_channel(f"channel '{item['ChannelName']}'", item, request)
    if "AlgorithmName" in request["AlgorithmSpecification"]:
        yield f"{LOCAL} has no algorithms from AWS Marketplace or your account. Give a TrainingImage and its program."
    for name in ("ServerlessJobConfig", "ModelPackageConfig", "MlflowConfig"):
        if name in request:
            yield f"{LOCAL} can't do what {name} asks for. Leave it out."


def _unsupported_channel(name: str, channel: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[str]:
    if _input_mode(channel, request) == "Pipe":
        yield f"{LOCAL} has no FIFO pipes ({name}). Use InputMode File or FastFile."
    if "ShuffleConfig" in channel:
        yield f"{LOCAL} doesn't shuffle ({name}). Leave ShuffleConfig out."
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        yield f"{LOCAL} has no file systems and no data sets ({name}). Put the data into S3."
        return
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        yield f"{LOCAL} has no S3DataType {source['S3DataType']} ({name}). Use S3Prefix or ManifestFile."
    for field in ("InstanceGroupNames", "ModelAccessConfig", "HubAccessConfig"):
        if source.get(field):
            yield f"{LOCAL} can't do what {field} asks for ({name}). Leave it out."


def _program(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a job without ContainerEntrypoint can't run in script mode."""
    specification = request["AlgorithmSpecification"]
    if specification.get("ContainerEntrypoint"):
        return
    if specification.get("ContainerArguments"):
        yield f"{LOCAL} pulls no image and so knows no ENTRYPOINT for ContainerArguments. Give ContainerEntrypoint."
    directory = _script_setting(request, "sagemaker_submit_directory")
    if not _script_setting(request, "sagemaker_program") or not directory:
        yield (
            f"{LOCAL} pulls no image and so has no program of it, nor SageMaker's built-in algorithms. Give "
            "ContainerEntrypoint, or script mode's hyperparameters sagemaker_program and sagemaker_submit_directory."
        )
    elif not directory.startswith("s3://") and _ML not in PurePosixPath(directory).parents:
        yield f"sagemaker_submit_directory is {directory!r}, and must be an s3:// URI or a path below {_ML}."
    for name, value in request.get("HyperParameters", {}).items():
        if _LAUNCHER.fullmatch(name) and _decoded(value) is True:
            yield f"{LOCAL} starts scripts as they are, on each host, and has no launcher for {name}. Leave it out."
