"""What CreateProcessingJob refuses beyond its model: rules across fields, and what can't run locally."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import boto3

from airflow_sm_processing.local.errors import validation_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from botocore.model import ServiceModel

PROCESSING = PurePosixPath("/opt/ml/processing")
_MAX_NAME_BYTES = 255  # of a file or folder, on Linux's file systems


def check(request: Mapping[str, Any]) -> None:
    """Check the rules across fields.

    Raises:
        ServiceError: ValidationException with every broken rule.
    """
    problems = [
        *_inputs(request),
        *_outputs(request),
        *_shared_names(request),
        *_empty_words(request),
        *reserved_tags(request.get("Tags", [])),
        *_resources(request),
        *_unsupported(request),
    ]
    if problems:
        raise validation_error(" ".join(problems))


def reserved_tags(tags: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the tags that only AWS itself may set."""
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            yield f"Tag key '{tag['Key']}' can't begin with 'aws:'. This prefix is reserved for AWS use."


def check_preferences_known(request: Mapping[str, Any], model: ServiceModel) -> None:
    """Refuse InstancePreferences where the installed boto3's model has none, so that nobody wonders why.

    Raises:
        ServiceError: ValidationException.
    """
    resources = request.get("ProcessingResources")
    cluster = resources.get("ClusterConfig") if isinstance(resources, dict) else None
    if not isinstance(cluster, dict) or "InstancePreferences" not in cluster:
        return
    known: Any = model.shape_for("ProcessingClusterConfig")
    if "InstancePreferences" not in known.members:
        needed = f"boto3 1.43.90 or newer; boto3 {boto3.__version__} is installed beside it"
        raise validation_error(f"For InstancePreferences, {_LOCAL} needs {needed}.")


def outputs_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the request's outputs, none if it has no ProcessingOutputConfig."""
    outputs: list[dict[str, Any]] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return outputs


def _inputs(request: Mapping[str, Any]) -> Iterator[str]:
    inputs = request.get("ProcessingInputs", [])
    yield from _duplicates("ProcessingInputs", "InputName", (item["InputName"] for item in inputs))
    paths = (item["S3Input"]["LocalPath"] for item in inputs if item.get("S3Input", {}).get("LocalPath"))
    yield from _duplicates("ProcessingInputs", "LocalPath", paths)
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
    outputs = outputs_of(request)
    yield from _duplicates("ProcessingOutputConfig", "OutputName", (item["OutputName"] for item in outputs))
    for item in outputs:
        name = f"Processing output '{item['OutputName']}'"
        if "S3Output" in item:
            yield from _local_path(name, item["S3Output"], app_managed=item.get("AppManaged", False), may_be_root=True)
        elif "FeatureStoreOutput" not in item:
            yield f"{name} must have S3Output unless it has FeatureStoreOutput."


def _shared_names(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that an input and an output share: they are unique across both."""
    outputs = {item["OutputName"] for item in outputs_of(request)}
    for item in request.get("ProcessingInputs", []):
        if item["InputName"] in outputs:
            yield f"'{item['InputName']}' is the name of an input and of an output. Names must be unique across both."


def _empty_words(request: Mapping[str, Any]) -> Iterator[str]:
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        if "" in request["AppSpecification"].get(name, []):
            yield f"{name} can't have an empty string in it."


def _local_path(name: str, place: Mapping[str, Any], *, app_managed: bool, may_be_root: bool) -> Iterator[str]:
    local_path = place.get("LocalPath")
    if local_path is None:
        if not app_managed:
            yield f"{name}: LocalPath is required unless AppManaged is true."
        return
    if "\0" in local_path:
        yield f"{name}: LocalPath {local_path!r} has a null character, which no path can have."
        return
    path = PurePosixPath(local_path)
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in path.parts):
        yield f"{name}: LocalPath '{local_path}' has a name of more than {_MAX_NAME_BYTES} bytes."
    is_under = PROCESSING in path.parents or (may_be_root and path == PROCESSING)
    if ".." in path.parts or not is_under:
        yield f"{name}: LocalPath '{local_path}' must be under {PROCESSING}."


def _preferences(preferences: Sequence[Mapping[str, Any]], *, one_for_all: bool) -> Iterator[str]:
    """Yield what the API reference rules out for ProcessingInstancePreference."""
    types = [item["InstanceType"] for item in preferences]
    if len(set(types)) < len(types):
        yield "An instance type can appear only once in InstancePreferences."
    counted = sum("InstanceCount" in item for item in preferences)
    if counted != (0 if one_for_all else len(preferences)):
        yield "InstanceCount must be in every one of the InstancePreferences, or in ClusterConfig and in none of them."


def _resources(request: Mapping[str, Any]) -> Iterator[str]:
    cluster = request["ProcessingResources"]["ClusterConfig"]
    preferences = cluster.get("InstancePreferences")
    if ("InstanceType" in cluster) == (preferences is not None):
        yield "ClusterConfig must have exactly one of InstanceType and InstancePreferences."
    elif preferences is None and "InstanceCount" not in cluster:
        yield "ClusterConfig must have InstanceCount beside InstanceType."
    elif preferences is not None:
        yield from _preferences(preferences, one_for_all="InstanceCount" in cluster)


def _unsupported(request: Mapping[str, Any]) -> Iterator[str]:
    """Say what the real service can do and this one can't, instead of a job that isn't what was asked for."""
    for item in request.get("ProcessingInputs", []):
        if "DatasetDefinition" in item:
            yield f"{_LOCAL} has no Athena and no Redshift (input '{item['InputName']}'). Put the data into S3."
        if item.get("S3Input", {}).get("S3InputMode") == "Pipe":
            yield f"{_LOCAL} has no FIFO pipes (input '{item['InputName']}'). Use S3InputMode File."
    for item in outputs_of(request):
        if "FeatureStoreOutput" in item:
            yield f"{_LOCAL} has no Feature Store (output '{item['OutputName']}'). Write to S3."
    if not request["AppSpecification"].get("ContainerEntrypoint"):
        yield f"{_LOCAL} pulls no image and so knows no ENTRYPOINT. Give ContainerEntrypoint."


_LOCAL = "The local SageMaker"


def _duplicates(where: str, what: str, values: Iterable[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{where}: {what} '{value}' is used {count} times. It must be unique."
