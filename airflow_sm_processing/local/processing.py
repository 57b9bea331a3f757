"""Processing jobs: the rules of their requests, and what their containers find."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local.jobs import Job, Place, Source, Target
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
    from collections.abc import Iterator, Mapping

_ROOT = PurePosixPath("/opt/ml/processing")


class ProcessingJob(Job):
    """A processing job."""

    kind = "Processing"
    fixed_folders = ("config", "output", "processing")
    message_file = "message"

    @classmethod
    def check(cls, request: Mapping[str, Any]) -> None:
        """Check the rules across a request's fields."""
        raise_all(
            [
                *_inputs(request),
                *_outputs(request),
                *_shared_names(request),
                *empty_words(request["AppSpecification"]),
                *reserved_tags(request.get("Tags", [])),
                *resource_problems(request["ProcessingResources"]["ClusterConfig"], "ClusterConfig"),
                *_unsupported(request),
            ]
        )

    @property
    def resources(self) -> Mapping[str, Any]:
        """The request's ClusterConfig."""
        cluster: Mapping[str, Any] = self.request["ProcessingResources"]["ClusterConfig"]
        return cluster

    @property
    def image_uri(self) -> str:
        """The image whose Python runs the command."""
        return str(self.request["AppSpecification"]["ImageUri"])

    def command(self) -> list[str]:
        """Return the command that each host runs."""
        specification = self.request["AppSpecification"]
        return [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]

    def config_files(self, place: Place) -> dict[str, Mapping[str, Any]]:
        """Return the request and the hosts."""
        kept = {name: value for name, value in self.request.items() if name not in {"Tags", "ExperimentConfig"}}
        return {
            "config/processingjobconfig.json": {"ProcessingJobArn": self.arn, **kept},
            "config/resourceconfig.json": {"current_host": place.host, "hosts": place.hosts},
        }

    def sources(self) -> list[Source]:
        """Return the inputs that are downloaded; an AppManaged one without a path isn't."""
        inputs = (item["S3Input"] for item in self.request.get("ProcessingInputs", []))
        return [
            Source(
                uri=item["S3Uri"],
                path=item["LocalPath"],
                is_manifest=item["S3DataType"] == "ManifestFile",
                is_sharded=item.get("S3DataDistributionType") == "ShardedByS3Key",
            )
            for item in inputs
            if item.get("LocalPath")
        ]

    def targets(self) -> list[Target]:
        """Return the outputs that are uploaded; an AppManaged one without a path isn't."""
        kms_key = self.request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        return [
            Target(
                uri=item["S3Output"]["S3Uri"],
                path=item["S3Output"]["LocalPath"],
                is_continuous=item["S3Output"]["S3UploadMode"] == "Continuous",
                kms_key=kms_key,
            )
            for item in _outputs_of(self.request)
            if item["S3Output"].get("LocalPath")
        ]

    def run_out(self) -> str | None:
        """Return the FailureReason of a job that was stopped because its time ran out."""
        return f"ClientError: The job was stopped after its MaxRuntimeInSeconds of {self.max_runtime}."

    def details(self) -> dict[str, Any]:
        """Return the fields of Describe's response that are neither in the request nor in the summary."""
        return {"ProcessingResources": {"ClusterConfig": self.cluster}, "ProcessingStartTime": self.started}

    def summary_details(self) -> dict[str, Any]:
        """Return the fields of List's response that only processing jobs have."""
        return {"ExitMessage": self.exit_message, "FailureReason": self.failure_reason}


def _outputs_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the request's outputs; none if it has no ProcessingOutputConfig."""
    outputs: list[dict[str, Any]] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return outputs


def _inputs(request: Mapping[str, Any]) -> Iterator[str]:
    inputs = request.get("ProcessingInputs", [])
    yield from duplicates("ProcessingInputs", "InputName", (item["InputName"] for item in inputs))
    paths = (item["S3Input"]["LocalPath"] for item in inputs if item.get("S3Input", {}).get("LocalPath"))
    yield from duplicates("ProcessingInputs", "LocalPath", paths)
    for item in inputs:
        name = f"Processing input '{item['InputName']}'"
        if ("S3Input" in item) == ("DatasetDefinition" in item):
            yield f"{name} must have exactly one of S3Input and DatasetDefinition."
        if "S3Input" in item:
            yield from _local_path(name, item["S3Input"], app_managed=item.get("AppManaged", False), may_be_root=False)
            yield from _compression(name, item["S3Input"])


def _compression(name: str, s3_input: Mapping[str, Any]) -> Iterator[str]:
    if s3_input.get("S3CompressionType") == "Gzip" and s3_input.get("S3InputMode") != "Pipe":
        yield f"{name}: S3CompressionType Gzip is supported for S3InputMode Pipe only."


def _outputs(request: Mapping[str, Any]) -> Iterator[str]:
    outputs = _outputs_of(request)
    yield from duplicates("ProcessingOutputConfig", "OutputName", (item["OutputName"] for item in outputs))
    for item in outputs:
        name = f"Processing output '{item['OutputName']}'"
        if "S3Output" in item:
            yield from _local_path(name, item["S3Output"], app_managed=item.get("AppManaged", False), may_be_root=True)
        elif "FeatureStoreOutput" not in item:
            yield f"{name} must have S3Output unless it has FeatureStoreOutput."


def _shared_names(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that both an input and an output have: names must be unique across both."""
    outputs = {item["OutputName"] for item in _outputs_of(request)}
    for item in request.get("ProcessingInputs", []):
        if item["InputName"] in outputs:
            yield f"'{item['InputName']}' is the name of an input and of an output. Names must be unique across both."


def _local_path(name: str, place: Mapping[str, Any], *, app_managed: bool, may_be_root: bool) -> Iterator[str]:
    local_path = place.get("LocalPath")
    if local_path is not None:
        yield from path_problems(name, local_path, under=_ROOT, may_be_root=may_be_root)
    elif not app_managed:
        yield f"{name}: LocalPath is required unless AppManaged is true."


def _unsupported(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the real service supports and this one doesn't, so that no job silently differs from its request."""
    for item in request.get("ProcessingInputs", []):
        if "DatasetDefinition" in item:
            yield f"{LOCAL} has no Athena and no Redshift (input '{item['InputName']}'). Put the data into S3."
        if item.get("S3Input", {}).get("S3InputMode") == "Pipe":
            yield f"{LOCAL} has no FIFO pipes (input '{item['InputName']}'). Use S3InputMode File."
    for item in _outputs_of(request):
        if "FeatureStoreOutput" in item:
            yield f"{LOCAL} has no Feature Store (output '{item['OutputName']}'). Write to S3."
    if not request["AppSpecification"].get("ContainerEntrypoint"):
        yield f"{LOCAL} pulls no image and so knows no ENTRYPOINT. Give ContainerEntrypoint."
