"""Turn a definition into the exact request and the uploads that it needs, without calling AWS."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from airflow_sm_processing.processing.definition import (
    COMMAND_INPUT_NAME,
    ENTRY_SCRIPT,
    MANIFEST_INPUT_NAMES,
    code_inputs,
    is_packed,
    job_name_from_base,
    local_path,
    source_in_s3,
    with_code,
)
from airflow_sm_processing.processing.environment import SCRIPT, in_pieces
from airflow_sm_processing.processing.manifests import Manifest, MergedInput, script
from airflow_sm_processing.processing.models import (
    NetworkConfig,
    ProcessingInput,
    S3Input,
    S3Location,
    as_folder,
    is_s3_uri,
    join,
)
from airflow_sm_processing.processing.source_folder import SourcePackage
from airflow_sm_processing.processing.uploads.files import GeneratedFile, list_files, read_content
from airflow_sm_processing.processing.values import as_dict, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from botocore.model import OperationModel

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import ProcessingOutput
    from airflow_sm_processing.processing.uploads.files import Content


__all__ = [
    "UNKNOWN_DIGEST",
    "KeyGenerator",
    "ObjectLister",
    "SubmissionPlan",
    "Upload",
    "default_keys",
    "plan_submission",
    "why_over_bound",
    "with_extra_tags",
]

log = logging.getLogger(__name__)

UNKNOWN_DIGEST = "<digest>"
"""Stands in a key for the digest of what isn't known yet: files of a repository to be cloned, and what S3 lists."""


class KeyGenerator(Protocol):
    """Makes the S3 URI of something in the default bucket."""

    def __call__(self, *parts: str) -> str:
        """Return `s3://<default bucket>/<prefix>/<part>/<part>`."""


class ObjectLister(Protocol):
    """Lists what is in S3."""

    def __call__(self, uris: Sequence[str]) -> Mapping[str, tuple[Sequence[str], Sequence[str]]]:
        """Return, for each URI, the keys that begin so, and the keys that only mark folders without files."""


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
    unmerged: tuple[ProcessingInput, ...] = ()
    """If manifests stand in for inputs: each input by itself, and the manifests after them."""
    listed: tuple[str, ...] = ()
    """The S3 URIs of the inputs that manifests stand in for, which are listed when the job is created."""
    command: tuple[Any, ...] = ()
    """What the container runs, also where the request runs it by a script; empty for the image's own entrypoint."""

    @property
    def job_name(self) -> str:
        """The job's name."""
        name: str = self.request["ProcessingJobName"]
        return name

    @property
    def unmerged_request(self) -> dict[str, Any]:
        """The request with each input by itself, however many SageMaker takes, and with the manifests after them."""
        inputs = {"ProcessingInputs": [item.to_boto() for item in self.unmerged]} if self.unmerged else {}
        return self.request | inputs


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
    objects: ObjectLister | None = None,
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
        operation: The service model of CreateProcessingJob: arguments that are over its bounds go by a file, such
            environment variables in pieces, and such inputs by manifests.
        objects: Lists S3 for manifests; if None, they are still to be made, and have `UNKNOWN_DIGEST` in their keys.

    Raises:
        UploadError: With an `upload_key`, a local file can't be read.
        DefinitionError: `objects` found what can't be in a manifest.
        ServiceError: `objects` couldn't be answered.
    """
    job_name = _job_name(definition)
    stage = _Stage(key, job_name, upload_key, kms_key=str(definition.kms_key or ""))
    staged = [stage(item, index) for index, item in enumerate(definition.inputs, 1)]
    of_code = [*stage.code(definition)]
    definition = with_code(definition)
    command = tuple(definition.entrypoint or ())
    bounds = _Bounds.of(definition, operation) if operation is not None else _NO_BOUNDS
    prepare = SCRIPT if bounds.pieces else ""
    merged = _Merged.of(staged, bounds.inputs_left(len(staged), len(of_code)), stage, objects)
    if merged is not None:
        prepare = f"{script(merged.manifests)}{prepare}"
    by_file = []
    if bounds.are_exceeded or merged is not None:
        by_file = [stage.command_file(definition, prepare, is_known=merged is None or merged.is_known)]
        env = bounds.pieces or definition.env
        definition = dataclasses.replace(definition, entrypoint=_RUN_COMMAND_FILE, arguments=None, env=env)
    made = merged.made if merged is not None else []
    inputs = tuple(item for item, _ in [*(merged.kept if merged is not None else staged), *of_code, *by_file])
    outputs = tuple(_place(item, index, job_name, key) for index, item in enumerate(definition.outputs, 1))
    return SubmissionPlan(
        request=_request(definition, job_name, role_arn, inputs, outputs),
        uploads=tuple(upload for _, upload in [*staged, *of_code, *made, *by_file] if upload is not None),
        inputs=inputs,
        outputs=outputs,
        unmerged=tuple(item for item, _ in [*staged, *of_code, *by_file, *made]) if merged is not None else (),
        listed=merged.listed if merged is not None else (),
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

    def command_file(
        self, definition: JobDefinition, prepare: str, *, is_known: bool
    ) -> tuple[ProcessingInput, Upload]:
        """Return the input of a script that prepares, and runs the definition's command with all its arguments."""
        words = [*(definition.entrypoint or ()), *(definition.arguments or ())]
        item = ProcessingInput(destination=_COMMAND_PATH, input_name=COMMAND_INPUT_NAME)
        text = f"{_COMMAND_START}{prepare}exec {shlex.join(words)}\n"
        return self._packaged(item, GeneratedFile(_COMMAND_FILE, text), is_known=is_known)

    def manifest(self, manifest: Manifest, *, is_known: bool) -> tuple[ProcessingInput, Upload]:
        """Return the input of a manifest."""
        name = PurePosixPath(manifest.path).name
        item = ProcessingInput(destination=manifest.path, input_name=name, s3_data_type="ManifestFile")
        return self._packaged(item, GeneratedFile(_MANIFEST_FILE, manifest.text), is_known=is_known)

    def _packaged(
        self, item: ProcessingInput, package: Package, *, is_known: bool = True
    ) -> tuple[ProcessingInput, Upload]:
        name = str(item.input_name)
        content = None if self.upload_key is None or not is_known else package.content(self.kms_key, name)
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


_MANIFEST_PATH = "/opt/ml/processing/input"
_MANIFEST_FILE = "manifest.json"
_PLAIN = {
    "s3_data_type": "S3Prefix",
    "s3_input_mode": "File",
    "s3_data_distribution_type": "FullyReplicated",
    "s3_compression_type": "None",
}
_SHOWN = 3

_Staged: TypeAlias = "tuple[ProcessingInput, Upload | None]"


@dataclass(frozen=True)
class _Merged:
    """A definition's own inputs, with manifests in the place of some."""

    kept: list[_Staged]
    """What the request has."""
    made: list[_Staged]
    """Those of them that are manifests."""
    manifests: list[Manifest]
    """What the container puts into its place."""
    listed: tuple[str, ...]
    is_known: bool
    """Whether it is known what the manifests name."""

    @classmethod
    def of(cls, staged: list[_Staged], most: int | None, stage: _Stage, objects: ObjectLister | None) -> _Merged | None:
        """Merge inputs, bucket by bucket, until they are within a bound; None if they can't be, or needn't.

        Args:
            staged: The inputs.
            most: How many there can be; None if they are within the bound.
            stage: Makes the manifests' inputs.
            objects: See `plan_submission`.
        """
        groups = [] if most is None else _groups(staged, len(staged) - most)
        if not groups:
            return None
        listed = tuple(dict.fromkeys(str(item.source) for group in groups for item, upload in group if upload is None))
        found = objects(listed) if objects is not None and listed else {}
        kept = [one for one in staged if not any(one in group for group in groups)]
        made, manifests = list[_Staged](), list[Manifest]()
        for number, group in enumerate(groups, 1):
            inputs = [_merged_input(*one, found, is_known=objects is not None) for one in group]
            bucket, path = S3Location.parse(str(group[0][0].source)).bucket, f"{MANIFEST_INPUT_NAMES}{number}"
            manifest = Manifest(bucket, f"{_MANIFEST_PATH}/{path}", inputs)
            alone = None if objects is None else manifest.left_alone
            if alone is None:
                made.append(stage.manifest(manifest, is_known=objects is not None))
            else:
                kept.append(group[alone])
                manifest = manifest._replace(inputs=[*inputs[:alone], *inputs[alone + 1 :]])
            manifests.append(manifest)
        if objects is not None:
            merged, named = sum(map(len, groups)), sum(len(manifest.keys) for manifest in manifests)
            log.info(
                "%d of %d inputs, with %s objects, go by %d manifest%s, because SageMaker doesn't take so many inputs.",
                *(merged, len(staged), f"{named:,}", len(made), "" if len(made) == 1 else "s"),
            )
        return cls([*kept, *made], made, manifests, listed, is_known=objects is not None)


def _groups(staged: list[_Staged], over: int) -> list[list[_Staged]]:
    """Return the inputs of each bucket that is to have a manifest, so that there are `over` less; none if there can't.

    The largest groups go first, so that there are few manifests.
    """
    buckets: dict[str, list[_Staged]] = {}
    for item, upload in staged:
        if _why_unmerged(item) is None and str(item.source).startswith("s3://"):
            bucket = S3Location.parse(str(item.source)).bucket
            # Placeholders of a plan are most likely outputs in the default bucket, and no bucket's name begins so.
            buckets.setdefault("<" if bucket.startswith("<") else bucket, []).append((item, upload))
    groups: list[list[_Staged]] = []
    for group in sorted(buckets.values(), key=len, reverse=True):
        if over > 0 and len(group) > 1:
            groups.append(group)
            over -= len(group) - 1
    return [] if over > 0 else groups


def _merged_input(
    item: ProcessingInput, upload: Upload | None, found: Mapping[str, Any], *, is_known: bool
) -> MergedInput:
    place = S3Location.parse(str(item.source))
    keys, folders = found.get(str(item.source), ((), ()))
    if upload is not None and is_known:
        below = S3Location.parse(upload.s3_uri).key
        keys = [f"{below}/{name}" for name in _names(upload)]
    return MergedInput(str(item.input_name), place.key, str(item.destination), keys, folders)


def _names(upload: Upload) -> list[str]:
    if upload.package is not None:
        return [upload.package.file_name]
    return [file.name for file in (upload.content.files if upload.content else list_files(upload.path))]


def why_over_bound(definition: JobDefinition) -> str:
    """Return why no manifests stand in for inputs that are over the bound of a request."""
    entrypoint = with_code(definition).entrypoint
    if not entrypoint or not all(isinstance(word, str) for word in entrypoint):
        return "with an entrypoint of yours, those of one bucket could go by a manifest"
    named = ((item, item.input_name or f"input-{position}") for position, item in enumerate(definition.inputs, 1))
    apart = [f"{name} ({why})" for item, name in named if (why := _why_unmerged(item)) is not None]
    if not apart:
        return "those of one bucket can go by a manifest, and there are too many buckets"
    more = f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
    return f"those of one bucket can go by a manifest, but not {', '.join(apart[:_SHOWN])}{more}"


def _why_unmerged(item: ProcessingInput) -> str | None:
    """Return why an input can't share a manifest; None if it can."""
    s3_input = item.s3_input
    if item.dataset_definition is not None or item.app_managed:
        return "app_managed" if item.app_managed else "a query"
    if item.json is not None:
        return None
    if not isinstance(s3_input, S3Input) or not isinstance(s3_input.s3_uri, str):
        return "no S3 URI"
    odd = [value for field, plain in _PLAIN.items() if (value := getattr(s3_input, field)) not in {None, plain}]
    if odd:
        return str(odd[0])
    parts = S3Location.parse(s3_input.s3_uri).key.split("/") if is_s3_uri(s3_input.s3_uri) else []
    return "a key with empty names or dots" if {".", ".."} & {*parts} or "" in parts[:-1] else None


@dataclass(frozen=True)
class _Bounds:
    """What of a definition's command is over the bounds of a request, and can be elsewhere."""

    arguments: bool
    """Whether the arguments are too many or too long."""
    pieces: dict[str, str] | None
    """The environment with what is too much of it in pieces; None if it isn't, or can't be."""
    inputs: int | None
    """How many inputs a request can have; None if the others can't go by manifests."""

    @property
    def are_exceeded(self) -> bool:
        return self.arguments or self.pieces is not None

    def inputs_left(self, own: int, of_code: int) -> int | None:
        """Return to how many a definition's own inputs are to be merged; None if there are few enough."""
        if self.inputs is None or own + of_code + self.are_exceeded <= self.inputs:
            return None
        return self.inputs - of_code - 1  # for the script that has the command, and puts the files into their places

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
            inputs=shape.members["ProcessingInputs"].metadata["max"],
        )

    @staticmethod
    def _pieces(env: Any, shape: Any) -> dict[str, str] | None:
        if not isinstance(env, Mapping) or not all(isinstance(text, str) for item in env.items() for text in item):
            return None
        return in_pieces(env, most=shape.metadata["max"], longest=shape.value.metadata["max"])


_NO_BOUNDS = _Bounds(arguments=False, pieces=None, inputs=None)


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


def with_extra_tags(
    tags: Sequence[Mapping[str, str]] | None, extra: Mapping[str, str], operation: OperationModel
) -> list[Mapping[str, str]]:
    """Add tags to the user's, which aren't changed; beyond the limit, the last of the extra ones are left out.

    Args:
        tags: The user's tags in the request's form.
        extra: The tags to add, the most important first.
        operation: CreateProcessingJob's model, which has the limit.
    """
    given = list(tags or ())
    taken = {tag.get("Key") for tag in given}
    wanted = [{"Key": key, "Value": value} for key, value in extra.items() if key not in taken]
    shape: Any = operation.input_shape
    most: int = shape.members["Tags"].metadata["max"]
    room = max(0, most - len(given))
    if len(wanted) > room:
        names = ", ".join(tag["Key"] for tag in wanted[room:])
        log.warning("A job can have %d tags, and the task sets %d: left out %s.", most, len(given), names)
    return [*given, *wanted[:room]]


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
