"""Turn a definition into the exact request and the uploads that it needs, without calling AWS."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_processing.processing.definition import (
    COMMAND_INPUT_NAME,
    ENTRY_SCRIPT,
    code_inputs,
    is_packed,
    job_name_from_base,
    local_path,
    source_in_s3,
    with_code,
)
from airflow_sm_processing.processing.environment import SCRIPT, in_pieces
from airflow_sm_processing.processing.models import (
    NetworkConfig,
    ProcessingInput,
    S3Location,
    as_folder,
    is_s3_uri,
    join,
)
from airflow_sm_processing.processing.source_folder import SourcePackage
from airflow_sm_processing.processing.uploads.files import GeneratedFile, read_content
from airflow_sm_processing.processing.values import as_dict, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from botocore.model import OperationModel

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import ProcessingOutput
    from airflow_sm_processing.processing.uploads.files import Content


__all__ = ["UNKNOWN_DIGEST", "KeyGenerator", "SubmissionPlan", "Upload", "default_keys", "plan_submission"]

UNKNOWN_DIGEST = "<digest>"
"""Stands in a key for the digest of files in a repository that isn't cloned yet."""


class KeyGenerator(Protocol):
    """Makes the S3 URI of something in the default bucket."""

    def __call__(self, *parts: str) -> str:
        """Return `s3://<default bucket>/<prefix>/<part>/<part>`."""


class Package(Protocol):
    """Local files that are put together for one upload."""

    @property
    def path(self) -> Path:
        """What names it."""

    @property
    def location(self) -> str | None:
        """The S3 prefix that it goes below instead of the default bucket's."""

    @property
    def file_name(self) -> str:
        """The file that the container is to have of it; empty for the folder as a whole."""

    @property
    def is_made(self) -> bool:
        """Whether it is new files that are uploaded."""

    def content(self, *context: str) -> Content:
        """Read the files."""

    def written(self, content: Content | None = None) -> AbstractContextManager[tuple[Path, Content | None]]:
        """Yield the path that is uploaded, and what it holds."""


@dataclass(frozen=True)
class Upload:
    """A local file or folder, and the S3 prefix that it goes to."""

    path: Path
    s3_uri: str
    """A file becomes `<s3_uri>/<its name>`, a folder's files `<s3_uri>/<their relative paths>`."""
    content: Content | None = None
    """What is there to upload, if `s3_uri` was made of it."""
    is_code: bool = False
    """Whether it is a folder whose ignore rules hold."""
    package: Package | None = None
    """What is made of the path, of more than one, or of the definition, and uploaded instead."""

    @contextmanager
    def local(self) -> Iterator[tuple[Path, Content | None]]:
        """Yield the path that is uploaded, and what it holds if `content` says so; a package is there in the block.

        Raises:
            UploadError: A package can't be made.
        """
        if self.package is None:
            yield self.path, self.content
        else:
            with self.package.written(self.content) as made:
                yield made


@dataclass(frozen=True, kw_only=True)
class SubmissionPlan:
    """A request that is ready to be sent once its uploads are done."""

    request: dict[str, Any]
    """CreateProcessingJob's parameters."""
    uploads: tuple[Upload, ...]
    inputs: tuple[ProcessingInput, ...]
    """With their names and their data in S3."""
    outputs: tuple[ProcessingOutput, ...]
    """With their names and destinations."""
    command: tuple[Any, ...] = ()
    """What the container runs, also where the request runs it by a script; empty for the image's own entrypoint."""

    @property
    def job_name(self) -> str:
        """The job's name."""
        name: str = self.request["ProcessingJobName"]
        return name


def default_keys(bucket: str, prefix: str | None) -> KeyGenerator:
    """Return the maker of keys in a bucket, below a prefix."""

    def make(*parts: str) -> str:
        return join(bucket, prefix, *parts)

    return make


def plan_submission(
    definition: JobDefinition,
    *,
    role_arn: str,
    key: KeyGenerator,
    upload_key: str | None = None,
    operation: OperationModel | None = None,
) -> SubmissionPlan:
    """Resolve names, S3 URIs and the request.

    Local files go to `<job name>/input/<input name>` as with the SDK, or with an `upload_key` to
    `<upload_key>/input/<digest of their content>/<input name>`: there, whoever submits the same again finds what was
    uploaded, and a job that reads other content finds none of it.

    Args:
        definition: What the user defined; it isn't changed.
        role_arn: The ARN of the definition's role.
        key: Called only where something needs the default bucket.
        upload_key: What the submissions that may share uploads have in common. Every local file is read, then; code in
            a repository has `UNKNOWN_DIGEST` in its keys.
        operation: The service model of CreateProcessingJob: arguments that are over its bounds go by a file, and such
            environment variables in pieces.

    Raises:
        UploadError: With an `upload_key`, a local file can't be read.
    """
    job_name = _job_name(definition)
    stage = _Stage(key, job_name, upload_key, kms_key=str(definition.kms_key or ""))
    staged = [stage(item, index) for index, item in enumerate(definition.inputs, 1)]
    staged += stage.code(definition)
    definition = with_code(definition)
    command = tuple(definition.entrypoint or ())
    bounds = _Bounds.of(definition, operation) if operation is not None else _NO_BOUNDS
    if bounds.are_exceeded:
        staged.append(stage.command_file(definition, SCRIPT if bounds.pieces else ""))
        env = bounds.pieces or definition.env
        definition = dataclasses.replace(definition, entrypoint=_RUN_COMMAND_FILE, arguments=None, env=env)
    inputs = tuple(item for item, _ in staged)
    outputs = tuple(_place(item, index, job_name, key) for index, item in enumerate(definition.outputs, 1))
    return SubmissionPlan(
        request=_request(definition, job_name, role_arn, inputs, outputs),
        uploads=tuple(upload for _, upload in staged if upload is not None),
        inputs=inputs,
        outputs=outputs,
        command=command,
    )


def _job_name(definition: JobDefinition) -> str:
    if definition.job_name is not None:
        return str(definition.job_name)
    return job_name_from_base(definition.base_name)


@dataclass(frozen=True)
class _Stage:
    """Assigns each input its place in S3."""

    key: KeyGenerator
    job_name: str
    upload_key: str | None
    kms_key: str

    def __call__(
        self, item: ProcessingInput, position: int, *, is_code: bool = False
    ) -> tuple[ProcessingInput, Upload | None]:
        named = dataclasses.replace(item, input_name=item.input_name or f"input-{position}")
        if named.json is not None:
            return self._packaged(named, GeneratedFile(str(named.file_name), str(named.json)))
        source = named.source
        if named.dataset_definition is not None or not isinstance(source, str) or is_s3_uri(source):
            return named, None
        path = local_path(source)
        if path is None:
            return named, None
        upload = self._upload(path, str(named.input_name), is_code=is_code and path.is_dir())
        return named.at(as_folder(upload.s3_uri) if path.is_dir() else f"{upload.s3_uri}/{path.name}"), upload

    def code(self, definition: JobDefinition) -> Iterator[tuple[ProcessingInput, Upload | None]]:
        """Yield the inputs of the definition's code."""
        items, is_here = code_inputs(definition), definition.git_config is None
        if not is_packed(definition):
            is_folder = definition.script_name is not None
            packages = definition.spark.packages() if definition.spark is not None else {}
            for item in items:
                submitted = packages.get(str(item.input_name))
                if submitted is not None:
                    yield self._packaged(item, submitted)
                else:
                    yield self(item, 0, is_code=True) if is_here else self._to_be_cloned(item, is_folder)
            return
        in_s3 = source_in_s3(definition) if is_here else None
        package = SourcePackage(definition)
        content = package.content(self.kms_key) if is_here and self.upload_key is not None else None
        place = self._place(package.location, content, "source")
        path = package.path if is_here else Path(str(definition.source_dir or definition.code))
        source, entry = items
        yield dataclasses.replace(source, source=in_s3 or f"{place}/{package.file_name}"), None
        yield (
            dataclasses.replace(entry, source=f"{place}/{ENTRY_SCRIPT}"),
            Upload(path, place, content, package=package),
        )

    def command_file(self, definition: JobDefinition, prepare: str) -> tuple[ProcessingInput, Upload]:
        """Return the input of a script that prepares, and runs the definition's command with all its arguments."""
        words = [*(definition.entrypoint or ()), *(definition.arguments or ())]
        item = ProcessingInput(destination=_COMMAND_PATH, input_name=COMMAND_INPUT_NAME)
        text = f"{_COMMAND_START}{prepare}exec {shlex.join(words)}\n"
        return self._packaged(item, GeneratedFile(_COMMAND_FILE, text))

    def _packaged(self, item: ProcessingInput, package: Package) -> tuple[ProcessingInput, Upload]:
        name = str(item.input_name)
        content = None if self.upload_key is None else package.content(self.kms_key, name)
        place = self._place(package.location, content, "input", name)
        upload = Upload(package.path, place, content, package=package)
        return dataclasses.replace(item, json=None, source=f"{upload.s3_uri}/{package.file_name}"), upload

    def _place(self, location: str | None, content: Content | None, *parts: str) -> str:
        """Return the prefix of something that is uploaded: below a location of its own only without an upload key."""
        if self.upload_key is not None:
            return self.key(self.upload_key, "input", content.digest if content else UNKNOWN_DIGEST, parts[-1])
        if location:
            bucket, prefix = S3Location.parse(location)
            return join(bucket, prefix, self.job_name, *parts)
        return self.key(self.job_name, *parts)

    def _to_be_cloned(self, item: ProcessingInput, is_folder: bool) -> tuple[ProcessingInput, Upload]:
        path, name = Path(str(item.source)), str(item.input_name)
        below = (self.job_name, "input") if self.upload_key is None else (self.upload_key, "input", UNKNOWN_DIGEST)
        upload = Upload(path, self.key(*below, name), is_code=True)
        return item.at(as_folder(upload.s3_uri) if is_folder else f"{upload.s3_uri}/{path.name}"), upload

    def _upload(self, path: Path, name: str, *, is_code: bool) -> Upload:
        if self.upload_key is None:
            return Upload(path, self.key(self.job_name, "input", name), is_code=is_code)
        # The name counts too, so that inputs of the same content are apart, as they are without an upload key.
        content = read_content(path, self.kms_key, name, is_code=is_code)
        return Upload(path, self.key(self.upload_key, "input", content.digest, name), content, is_code)


_COMMAND_PATH = f"/opt/ml/processing/input/{COMMAND_INPUT_NAME}"
_COMMAND_FILE = "command.sh"
_COMMAND_START = """\
#!/bin/sh
# Written by airflow-sm-processing: the job's command, because CreateProcessingJob's bounds are too narrow for it.
"""
_RUN_COMMAND_FILE = ("/bin/sh", f"{_COMMAND_PATH}/{_COMMAND_FILE}")


@dataclass(frozen=True)
class _Bounds:
    """What of a definition's command is over the bounds of a request, and can be elsewhere."""

    arguments: bool
    """Whether the arguments are too many or too long."""
    pieces: dict[str, str] | None
    """The environment with what is too much of it in pieces; None if it isn't, or can't be."""

    @property
    def are_exceeded(self) -> bool:
        return self.arguments or self.pieces is not None

    @classmethod
    def of(cls, definition: JobDefinition, operation: OperationModel) -> _Bounds:
        """Compare a definition with the service model.

        Nothing can be elsewhere where the command is the image's own, which isn't known.
        """
        words = [*(definition.entrypoint or ()), *(definition.arguments or ())]
        if not definition.entrypoint or not all(isinstance(word, str) for word in words):
            return _NO_BOUNDS
        shape: Any = operation.input_shape
        arguments: Any = shape.members["AppSpecification"].members["ContainerArguments"]
        longest: int = arguments.member.metadata["max"]
        given = definition.arguments or ()
        return cls(
            arguments=len(given) > arguments.metadata["max"] or any(len(text) > longest for text in given),
            pieces=cls._pieces(definition.env, shape.members["Environment"]),
        )

    @staticmethod
    def _pieces(env: Any, shape: Any) -> dict[str, str] | None:
        if not isinstance(env, Mapping) or not all(isinstance(text, str) for item in env.items() for text in item):
            return None
        return in_pieces(env, most=shape.metadata["max"], longest=shape.value.metadata["max"])


_NO_BOUNDS = _Bounds(arguments=False, pieces=None)


def _place(item: ProcessingOutput, position: int, job_name: str, key: KeyGenerator) -> ProcessingOutput:
    name = item.output_name or f"output-{position}"
    if item.source is None or item.destination:
        return dataclasses.replace(item, output_name=name)
    return dataclasses.replace(item, output_name=name, destination=key(job_name, "output", str(name)))


def _request(
    definition: JobDefinition,
    job_name: str,
    role_arn: str,
    inputs: tuple[ProcessingInput, ...],
    outputs: tuple[ProcessingOutput, ...],
) -> dict[str, Any]:
    tags: Sequence[Any] = definition.tags or ()
    request: dict[str, Any] = {
        "ProcessingJobName": job_name,
        "ProcessingResources": {"ClusterConfig": _cluster(definition)},
        "AppSpecification": _app_specification(definition),
        "RoleArn": role_arn,
    }
    optional = {
        "ProcessingInputs": [item.to_boto() for item in inputs] or None,
        "ProcessingOutputConfig": _output_config(definition, outputs),
        "Environment": None if definition.env is None else as_dict(definition.env),
        "NetworkConfig": _network_config(definition),
        "StoppingCondition": _stopping_condition(definition),
        "Tags": [as_dict(tag) for tag in tags] or None,
        "ExperimentConfig": as_dict(definition.experiment_config or {}) or None,
    }
    return request | {name: value for name, value in optional.items() if value is not None}


def _cluster(definition: JobDefinition) -> dict[str, Any]:
    if definition.instance_preferences:
        machines: dict[str, Any] = {
            "InstancePreferences": [preference.to_boto() for preference in definition.instance_preferences],
        }
    else:
        machines = {"InstanceType": definition.instance_type}
    if definition.instance_count is not None:
        machines["InstanceCount"] = definition.instance_count
    if definition.volume_kms_key is not None:
        machines["VolumeKmsKeyId"] = definition.volume_kms_key
    return machines | {"VolumeSizeInGB": definition.volume_size_in_gb}


def _app_specification(definition: JobDefinition) -> dict[str, Any]:
    specification: dict[str, Any] = {"ImageUri": definition.written_image}
    if definition.arguments:
        specification["ContainerArguments"] = as_list(definition.arguments)
    if definition.entrypoint:
        specification["ContainerEntrypoint"] = as_list(definition.entrypoint)
    return specification


def _output_config(definition: JobDefinition, outputs: tuple[ProcessingOutput, ...]) -> dict[str, Any] | None:
    if not outputs:
        return None
    config: dict[str, Any] = {"Outputs": [item.to_boto() for item in outputs]}
    return config if definition.output_kms_key is None else config | {"KmsKeyId": definition.output_kms_key}


def _network_config(definition: JobDefinition) -> Any:
    network: Any = definition.network_config
    return network.to_boto() if isinstance(network, NetworkConfig) else network  # what isn't one, validation refuses


def _stopping_condition(definition: JobDefinition) -> dict[str, Any] | None:
    seconds = definition.max_runtime_in_seconds
    return None if seconds is None else {"MaxRuntimeInSeconds": seconds}
