"""The script of a job: an input of its own, and the end of the entrypoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.inputs import ProcessingInput
from airflow_sm_processing.processing.local_paths import local_path
from airflow_sm_processing.processing.s3_uris import S3Location, as_folder, is_s3_uri, names_no_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["code_file_problems", "code_problems", "with_code"]

CODE_INPUT_NAME = "code"
CODE_CONTAINER_PATH = PurePosixPath("/opt/ml/processing/input/code")
_REQUIRED = "is required: a local file or folder, file:// or s3://"


def with_code(definition: JobDefinition) -> JobDefinition:
    """Give the definition with its code as the last input and with the script at the end of the entrypoint."""
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
