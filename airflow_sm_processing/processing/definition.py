"""A job as its author defines it: its script, its local paths, and names that are still to be made."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.models import (
    ProcessingInput,
)
from airflow_sm_processing.processing.s3_uris import S3Location, as_folder, is_s3_uri, names_no_bucket
from airflow_sm_processing.processing.values import Value, value_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_sm_processing.processing.models import (
        InstancePreference,
        NetworkConfig,
        ProcessingOutput,
    )
    from airflow_sm_processing.processing.values import Late


__all__ = [
    "LONGEST_BASE",
    "MAX_LENGTH",
    "JobDefinition",
    "base_name_from_image",
    "code_file_problems",
    "code_problems",
    "job_name_from_base",
    "legal_name",
    "local_path",
    "with_code",
]


FILE_SCHEME = "file://"


def local_path(text: str) -> Path | None:
    """Return the path that a plain path or a `file://` URI names; None for a URI of any other scheme.

    A plain path is taken literally, `#`, `?` and `%` included. An empty one names nothing: `Path("")` would be the
    current folder, all of which would be uploaded.
    """
    if text[: len(FILE_SCHEME)].lower() == FILE_SCHEME:
        parts = urlsplit(text)
        text = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
    elif "://" in text:
        return None
    return Path(text) if text else None


@value_object
class JobDefinition(Value):
    """Everything that one CreateProcessingJob request is made of, under the SDK's names."""

    role: str | Late | None
    image_uri: str | Late | None
    instance_count: int | Late | None = None
    instance_type: str | Late | None = None
    instance_preferences: tuple[InstancePreference, ...] = ()
    """Up to five types in the order of preference, instead of `instance_type`."""
    entrypoint: Sequence[str] | None = None
    code: str | Late | None = None
    """A script, or a folder with `script_name` in it: a local path, `file://` or `s3://`; runs after `command`."""
    script_name: str | Late | None = None
    command: Sequence[str] | None = None
    arguments: Sequence[str] | None = None
    volume_size_in_gb: int | Late = 30
    volume_kms_key: str | Late | None = None
    output_kms_key: str | Late | None = None
    max_runtime_in_seconds: int | Late | None = None
    base_job_name: str | Late | None = None
    job_name: str | Late | None = None
    """Used as it is; if None, a name is made of `base_job_name`, or of the image's."""
    env: Mapping[str, str] | None = None
    tags: Sequence[Mapping[str, str]] | None = None
    network_config: NetworkConfig | None = None
    experiment_config: Mapping[str, str] | None = None
    inputs: tuple[ProcessingInput, ...] = ()
    outputs: tuple[ProcessingOutput, ...] = ()
    kms_key: str | Late | None = None
    """Encrypts what is uploaded: code and local inputs."""

    def __post_init__(self) -> None:
        if any(getattr(item, "is_left_out", False) for item in self.inputs):
            kept = tuple(item for item in self.inputs if not item.is_left_out)
            object.__setattr__(self, "inputs", kept)


CODE_INPUT_NAME = "code"
CODE_CONTAINER_PATH = PurePosixPath("/opt/ml/processing/input/code")
_REQUIRED = "is required: a local file or folder, file:// or s3://"


def with_code(definition: JobDefinition) -> JobDefinition:
    """Return the definition with its code as the last input and with the script at the end of the entrypoint."""
    if definition.code is None:
        return definition
    script = definition.script_name or _file_name(str(definition.code))
    source = definition.code
    if isinstance(source, str) and is_s3_uri(source) and _file_name(source) != script:
        source = as_folder(source)  # which the script is in
    return dataclasses.replace(
        definition,
        code=None,
        entrypoint=[*(definition.command or ()), str(CODE_CONTAINER_PATH / script)],
        inputs=(
            *definition.inputs,
            ProcessingInput(source=source, destination=str(CODE_CONTAINER_PATH), input_name=CODE_INPUT_NAME),
        ),
    )


def code_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong with the code whatever the files on this machine are."""
    code, script = definition.code, definition.script_name
    if code is None:
        if script is not None:
            yield Problem("script_name", script, "needs code, the folder that the script is in")
        if definition.command is not None:
            yield Problem("code", None, _REQUIRED)
        return
    if not definition.command:
        yield Problem("command", definition.command, 'is required with code, such as ["python3"]')
    elif isinstance(definition.command, str):
        yield Problem("command", definition.command, 'must be a list of strings, such as ["python3"]')
    yield from _place_problems(code, script)
    if isinstance(script, str) and (script.startswith("/") or ".." in PurePosixPath(script).parts):
        yield Problem("script_name", script, "must be a path inside the code folder")


def _place_problems(code: object, script: object) -> Iterator[Problem]:
    if code == "":
        yield Problem("code", code, _REQUIRED)
    elif names_no_bucket(code):
        yield Problem("code", code, "names no bucket")
    elif isinstance(code, str) and is_s3_uri(code) and script is None and not _file_name(code):
        yield Problem("code", code, "is a prefix: say with script_name which of its files to run")


def code_file_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong with code on this machine."""
    code, script = definition.code, definition.script_name
    if not code or not isinstance(code, str) or is_s3_uri(code):
        return
    path = local_path(code)
    if path is None:
        yield Problem("code", code, "must be a local path, a file:// URI or an S3 URI")
    elif not path.exists():
        yield Problem("code", code, f"no such file or folder: {path.absolute()}")
    elif path.is_dir():
        yield from _folder_problems(path, script)
    elif script is not None and script != path.name:
        yield Problem(
            "script_name", script, f"code is one file, {path.name}: leave script_name out, or give its folder"
        )


def _folder_problems(folder: Path, script: str | None) -> Iterator[Problem]:
    if script is None:
        yield Problem("script_name", None, f"code is a folder, {folder}: say which of its files to run")
    elif not (folder / script).is_file():
        yield Problem("script_name", script, f"no such file in the code folder {folder.absolute()}")


def _file_name(code: str) -> str:
    if is_s3_uri(code):
        return S3Location.parse(code).key.rpartition("/")[2]
    path = local_path(code)
    return path.name if path is not None else ""


DEFAULT_BASE_NAME = "processing-job"
MAX_LENGTH = 63
"""Of a name as a whole: the SDK's own cut, which SageMaker's pattern allows."""
_TIMESTAMP_LENGTH = len("2000-01-31-23-59-59-999")
LONGEST_BASE = MAX_LENGTH - _TIMESTAMP_LENGTH - 1
"""Characters of a base that a generated name keeps."""
_IMAGE = re.compile(r"^(?:.+/)?([^:/@]+)(?:[:@].*)?$")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9-]+")


def base_name_from_image(image_uri: str) -> str:
    """Return the last segment of an image's path: `registry/team/sklearn:1.2` gives `sklearn`."""
    match = _IMAGE.match(image_uri.rstrip("/"))
    return match.group(1) if match else DEFAULT_BASE_NAME


def job_name_from_base(base: str, *, now: datetime | None = None) -> str:
    """Return a job name of at most 63 characters: the base and a UTC timestamp to the millisecond.

    What SageMaker allows in no name (`_`, `.`, `@` …) becomes a hyphen; a legal base is only cut.
    """
    moment = now or datetime.now(timezone.utc)
    timestamp = f"{moment:%Y-%m-%d-%H-%M-%S}-{moment.microsecond // 1000:03d}"
    return f"{legal_name(base)[:LONGEST_BASE]}-{timestamp}"


def legal_name(base: str) -> str:
    """Put hyphens in place of what SageMaker allows in no name."""
    return _ILLEGAL.sub("-", base).lstrip("-") or DEFAULT_BASE_NAME
