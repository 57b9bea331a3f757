"""Training jobs of the amazon provider: channels that read outputs, and references to trained models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.outputs import ElementReference, PlaceReference, with_folder_references, with_uris
from airflow_sm_processing.operators.templating import LATE, hide_unresolved, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["channel", "model_artifacts"]

# The names are those of the SDK's TrainingInput. botocore's model has these rules too, but isn't loaded when a DAG file
# is parsed; a test compares the two.
_ENUMS = {
    "distribution": ("FullyReplicated", "ShardedByS3Key"),
    "compression": ("None", "Gzip"),
    "record_wrapping": ("None", "RecordIO"),
    "s3_data_type": ("ManifestFile", "S3Prefix", "AugmentedManifestFile", "Converse"),
    "input_mode": ("Pipe", "File", "FastFile"),
}
_CHANNEL_NAME = r"[A-Za-z0-9\.\-_]+"
_CHANNEL_NAME_LENGTH = 64
_S3_URI = r"(https|s3)://([^/]+)/?(.*)"

_NO_S3_URI = "must be an S3 URI, or a reference to an output"


def channel(
    channel_name: str,
    s3_data: Any,
    *,
    distribution: str | None = "FullyReplicated",
    compression: str | None = None,
    content_type: str | None = None,
    record_wrapping: str | None = None,
    s3_data_type: str = "S3Prefix",
    input_mode: str | None = None,
    attribute_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return a channel of a training job, for `InputDataConfig` in the `config` of the provider's training operator.

    The parameters have the names of the SageMaker SDK's `TrainingInput`. The dict is a `Channel` of CreateTrainingJob:
    you can add other fields to it. It can be in `config=`, in `.partial()` and in the elements of `.expand()`.

    Args:
        channel_name: The script finds the data in `/opt/ml/input/data/<channel_name>`; in script mode, the variable
            `SM_CHANNEL_<CHANNEL_NAME>` has the path.
        s3_data: Where the data is: `task.output["train"]`, which makes the task upstream, `model_artifacts(task)`, an
            asset, an S3 URI or a template of one. A reference to an output reads only the output's folder; to a URI
            given as text, no slash is added.
        distribution: `FullyReplicated` (all on each instance) or `ShardedByS3Key` (each object on one instance).
        compression: `None` or `Gzip`; Gzip only in Pipe mode.
        content_type: The data's MIME type, such as `text/csv`.
        record_wrapping: `None` or `RecordIO`; only in Pipe mode.
        s3_data_type: `S3Prefix`, `ManifestFile`, `AugmentedManifestFile` or `Converse`.
        input_mode: `File`, `FastFile` or `Pipe`; the job's `TrainingInputMode` if not given.
        attribute_names: With `AugmentedManifestFile`, the attributes to read.

    Raises:
        DefinitionError: A value is wrong, or the upstream task has no such output; it lists all problems.
    """
    chosen = {
        "distribution": distribution,
        "compression": compression,
        "record_wrapping": record_wrapping,
        "s3_data_type": s3_data_type,
        "input_mode": input_mode,
    }
    data = with_folder_references(with_uris(s3_data), "source")
    problems = [*_name_problems(channel_name), *_data_problems(data, s3_data_type), *_enum_problems(chosen)]
    if problems:
        raise DefinitionError(problems, subject=f"channel {channel_name!r}")
    source = {
        "S3DataType": s3_data_type,
        "S3Uri": _ChannelData(data, channel_name) if isinstance(data, XComArg) else data,
        "S3DataDistributionType": distribution,
        "AttributeNames": attribute_names and [*attribute_names],
    }
    fields = {
        "ChannelName": channel_name,
        "DataSource": {"S3DataSource": _given(source)},
        "ContentType": content_type,
        "CompressionType": compression,
        "RecordWrapperType": record_wrapping,
        "InputMode": input_mode,
    }
    return _given(fields)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class _ChannelData(ElementReference):
    """A reference to the place of a channel's data."""

    def __init__(self, reference: XComArg, channel_name: str) -> None:
        super().__init__(reference)
        self.channel_name = channel_name

    def resolve(self, context: Mapping[str, Any]) -> Any:
        place = resolved(super().resolve(context))
        if isinstance(place, str) and re.fullmatch(_S3_URI, place):
            return place
        rule = f"{_NO_S3_URI}; this is what {self.reference!r} resolved to"
        raise DefinitionError([Problem("s3_data", place, rule)], subject=f"channel {self.channel_name!r}")


def _name_problems(name: Any) -> Iterator[Problem]:
    if isinstance(name, str) and hide_unresolved(name) is LATE:
        return
    if not isinstance(name, str) or not re.fullmatch(_CHANNEL_NAME, name):
        yield Problem("channel_name", name, f"must match {_CHANNEL_NAME}")
    elif len(name) > _CHANNEL_NAME_LENGTH:
        yield Problem("channel_name", name, f"must be at most {_CHANNEL_NAME_LENGTH} characters, has {len(name)}")


def _data_problems(data: Any, s3_data_type: str) -> Iterator[Problem]:
    if isinstance(data, XComArg):
        mapped = [operator.task_id for operator, _ in data.iter_references() if operator.is_mapped]
        if mapped:
            rule = (
                f"is a list, with one element per instance of {mapped[0]}, and a channel reads one place: give the "
                "instances' outputs destinations below one prefix, and read that"
            )
            yield Problem("s3_data", data, rule)
        elif isinstance(data, PlaceReference) and "Manifest" in str(s3_data_type):
            yield Problem("s3_data_type", s3_data_type, "needs a file's URI: an output is a folder, a model an archive")
    elif not isinstance(data, str) or (hide_unresolved(data) is not LATE and not re.fullmatch(_S3_URI, data)):
        yield Problem("s3_data", data, _NO_S3_URI)


def _enum_problems(chosen: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in chosen.items():
        if value is not None and hide_unresolved(value) is not LATE and value not in _ENUMS[name]:
            yield Problem(name, value, f"must be one of {', '.join(_ENUMS[name])}")


def model_artifacts(train: Any) -> Any:
    """Return the reference to the model of a training task: the S3 URI of its `model.tar.gz`.

    It makes the task upstream, and can be used wherever a value can: as the `source` of a `ProcessingInput`, in
    `channel`, or in the configuration of another operator. The URI of an uncompressed model is that of its folder.

    Args:
        train: The amazon provider's `SageMakerTrainingOperator`, waiting or deferrable; or another task whose result is
            a response of DescribeTrainingJob. For a mapped task, the reference is to a list with each instance's model.

    Raises:
        DefinitionError: It is a processing task. When the task runs: the upstream task's result isn't that of a
            training job, or the job has no model.
    """
    operator = train.operator if isinstance(train, PlainXComArg) else train
    if getattr(getattr(operator, "operator_class", operator), "own_outputs", None) is not None:
        rule = f"is a processing task, which has outputs and no model: use {operator.task_id}.output[…]"
        raise _model_error(operator.task_id, rule)
    return _ModelReference(operator)


class _ModelReference(PlaceReference):
    """A reference to a training operator's result that resolves to the model's URI."""

    __slots__ = ()

    def __str__(self) -> str:
        uri = "['Training']['ModelArtifacts']['S3ModelArtifacts'] }}"
        return super().__str__().removesuffix(" }}") + uri

    def read(self, value: Any) -> Any:
        plain = resolved(value)
        if plain is None:
            return None
        return (
            [*map(self.read, plain)] if isinstance(plain, (list, tuple)) else _model_uri(self.operator.task_id, plain)
        )


def _model_uri(task_id: str, result: Any) -> str:
    description = _member(result, "Training") or result
    status = _member(description, "TrainingJobStatus")
    if not isinstance(status, str):
        rule = (
            "the task's result isn't a training job's: it must be what SageMakerTrainingOperator returns, or a "
            "response of DescribeTrainingJob"
        )
        raise _model_error(task_id, rule)
    if status in {"InProgress", "Stopping"}:
        raise _model_error(task_id, f"its training job hadn't ended ({status}): set wait_for_completion=True")
    uri = _member(_member(description, "ModelArtifacts"), "S3ModelArtifacts")
    if not isinstance(uri, str) or not uri:
        raise _model_error(task_id, f"its training job is {status} and has no model")
    return uri


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _model_error(task_id: str, rule: str) -> DefinitionError:
    return DefinitionError([Problem("model_artifacts", task_id, rule)], subject="a reference to a model")
