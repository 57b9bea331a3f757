"""What can be wrong with a definition that no limit of the API's model says.

The rules look at strings only: a value that isn't known yet (an XComArg, a template) is left for later. They need
neither boto3 nor AWS, so that a DAG file learns of its mistakes when it is parsed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.code import (
    CODE_CONTAINER_PATH,
    CODE_INPUT_NAME,
    code_file_problems,
    code_problems,
)
from airflow_sm_processing.processing.local_paths import local_path
from airflow_sm_processing.processing.s3_uris import is_s3_uri, names_no_bucket
from airflow_sm_processing.processing.values import WireObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.inputs import ProcessingInput
    from airflow_sm_processing.processing.instances import InstancePreference

    _NamedPaths: TypeAlias = list[tuple[str, PurePosixPath]]

__all__ = ["definition_problems", "local_file_problems", "wait_problems"]

_CONTAINER_ROOT = PurePosixPath("/opt/ml/processing")


def definition_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong whatever the account, the region and the files on this machine are."""
    yield from _cluster_problems(definition)
    yield from code_problems(definition)
    yield from _input_problems(definition)
    yield from _output_problems(definition)
    yield from _shared_name_problems(definition)
    yield from _container_path_problems(definition)
    yield from _empty_string_problems(definition)
    yield from _tag_problems(definition)


def local_file_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield the local code and inputs that aren't there."""
    yield from code_file_problems(definition)
    for index, item in enumerate(definition.inputs):
        source = item.source
        if item.dataset_definition is None and isinstance(source, str) and not is_s3_uri(source):
            path = local_path(source)
            if path is None:
                yield Problem(f"inputs[{index}].source", source, "must be an S3 URI, a local path or a file:// URI")
            elif not path.exists():
                yield Problem(f"inputs[{index}].source", source, f"no such file or folder: {path.absolute()}")
            elif path.is_dir() and not _has_files(path):
                yield Problem(f"inputs[{index}].source", source, f"the folder has no files: {path.absolute()}")


def wait_problems(*, wait: bool, logs: bool) -> Iterator[Problem]:
    """Yield the contradiction of showing logs of a job that isn't waited for."""
    if logs and not wait:
        yield Problem("logs", logs, "can only be shown while waiting: set wait=True, or logs=False")


def _cluster_problems(definition: JobDefinition) -> Iterator[Problem]:
    for name in ("role", "image_uri"):
        if not getattr(definition, name):
            yield Problem(name, getattr(definition, name), "is required")
    if isinstance(definition.image_uri, str) and any(map(str.isspace, definition.image_uri)):
        yield Problem("image_uri", definition.image_uri, "is no image's address: there is white space in it")
    if definition.instance_type and definition.instance_preferences:
        yield Problem("instance_type", definition.instance_type, "can't be given beside instance_preferences")
    if not definition.instance_type and not definition.instance_preferences:
        yield Problem("instance_type", None, "is required, or instance_preferences instead")
    if definition.instance_count is None and not definition.instance_preferences:
        yield Problem("instance_count", None, "is required")
    if isinstance(definition.instance_preferences, tuple):
        yield from _preference_problems(definition.instance_preferences, definition.instance_count)


def _preference_problems(preferences: tuple[InstancePreference, ...], count: object) -> Iterator[Problem]:
    """Yield what SageMaker's own page on ProcessingInstancePreference rules out."""
    types = [item.instance_type for item in preferences]
    yield from _duplicates("instance_preferences", "instance_type", types)
    if not preferences or not all(isinstance(name, str) for name in types):
        return
    counted = [item.instance_count is not None for item in preferences]
    if any(counted) and not all(counted):
        yield Problem("instance_preferences", list(preferences), "must all have an instance_count, or none of them")
    elif all(counted) and isinstance(count, int):
        yield Problem("instance_count", count, "can't be given beside the counts of the instance_preferences")
    elif count is None and not any(counted):
        yield Problem("instance_count", None, "is required, or one in each of the instance_preferences")


def _input_problems(definition: JobDefinition) -> Iterator[Problem]:
    yield from _duplicates("inputs", "input_name", _input_names(definition))
    for index, item in enumerate(definition.inputs):
        for field, value, rule in _one_input(item):
            yield Problem(f"inputs[{index}].{field}", value, rule)


def _input_names(definition: JobDefinition) -> list[Any]:
    """Return the names of all inputs, the script's own last."""
    names = [item.input_name or f"input-{position}" for position, item in enumerate(definition.inputs, 1)]
    return names if definition.code is None else [*names, CODE_INPUT_NAME]


def _output_names(definition: JobDefinition) -> list[Any]:
    return [item.output_name or f"output-{position}" for position, item in enumerate(definition.outputs, 1)]


def _shared_name_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield the outputs that have an input's name: SageMaker wants one set of names for both."""
    inputs = _input_names(definition)
    for index, name in enumerate(_output_names(definition)):
        if isinstance(name, str) and name in inputs:
            is_code = definition.code is not None and inputs.index(name) == len(definition.inputs)
            whose = "the script's own input" if is_code else f"inputs[{inputs.index(name)}]"
            rule = f"is the name of {whose} as well: no input and output of a job may share a name"
            yield Problem(f"outputs[{index}].output_name", name, rule)


def _one_input(item: ProcessingInput) -> Iterator[tuple[str, Any, str]]:
    if item.s3_input is None and item.dataset_definition is None:
        yield "source", None, "is required, or a dataset_definition instead"
    elif item.container_path is None and not item.app_managed and not _is_late(item):
        yield "destination", None, "is required unless the input is app_managed"
    if names_no_bucket(item.source):
        yield "source", item.source, "names no bucket"
    if item.s3_input is not None and item.dataset_definition is not None:
        yield "dataset_definition", item.dataset_definition, "can't be given beside source or s3_input"
    if item.s3_compression_type == "Gzip" and item.s3_input_mode in ("File", None):
        yield "s3_compression_type", "Gzip", "data can only be gzipped when s3_input_mode is Pipe"
    if isinstance(item.dataset_definition, WireObject) and not _has_one_query(item.dataset_definition):
        yield "dataset_definition", item.dataset_definition, "must have exactly one of the Athena and Redshift queries"


def _is_late(item: ProcessingInput) -> bool:
    """Return whether an object that has the container path isn't known yet."""
    return any(
        value is not None and not isinstance(value, WireObject) for value in (item.s3_input, item.dataset_definition)
    )


def _has_one_query(definition: WireObject) -> bool:
    queries = (getattr(definition, f"{kind}_dataset_definition") for kind in ("athena", "redshift"))
    return sum(query is not None for query in queries) == 1


def _output_problems(definition: JobDefinition) -> Iterator[Problem]:
    yield from _duplicates("outputs", "output_name", _output_names(definition))
    for index, item in enumerate(definition.outputs):
        if item.source is None and item.feature_store_output is None:
            yield Problem(f"outputs[{index}].source", None, "is required, or a feature_store_output instead")
        destination = item.destination
        if destination and isinstance(destination, str) and not is_s3_uri(destination):
            yield Problem(f"outputs[{index}].destination", destination, "must be an S3 URI, or absent")
        elif names_no_bucket(destination):
            yield Problem(f"outputs[{index}].destination", destination, "names no bucket")


def _container_path_problems(definition: JobDefinition) -> Iterator[Problem]:
    inputs = _known_paths((f"inputs[{i}].destination", item.container_path) for i, item in enumerate(definition.inputs))
    outputs = _known_paths((f"outputs[{i}].source", item.source) for i, item in enumerate(definition.outputs))
    if definition.code is not None:
        inputs.append(("code", CODE_CONTAINER_PATH))
    for name, path in inputs:
        if _CONTAINER_ROOT not in path.parents or ".." in path.parts:
            yield Problem(name, str(path), f"must be a path below {_CONTAINER_ROOT}")
    for name, path in outputs:
        if not path.is_absolute() or ".." in path.parts:
            yield Problem(name, str(path), "must be an absolute path in the container")
        elif _CONTAINER_ROOT not in (path, *path.parents):
            yield Problem(name, str(path), f"must be {_CONTAINER_ROOT} or a path below it")
    late = {f"inputs[{i}].destination" for i, item in enumerate(definition.inputs) if _may_be_left_out(item)}
    yield from _same_paths([(name, path) for name, path in inputs if name not in late])
    yield from _same_paths(outputs)
    yield from _overlaps(inputs, outputs)


def _may_be_left_out(item: ProcessingInput) -> bool:
    """Tell whether only a run knows if the input is there: of two branches' outputs, one may take the other's place."""
    return item.optional is not False and not isinstance(item.source, str)


def _empty_string_problems(definition: JobDefinition) -> Iterator[Problem]:
    for parameter in ("entrypoint", "command", "arguments"):
        words = getattr(definition, parameter)
        for index, word in enumerate(words if isinstance(words, (list, tuple)) else ()):
            if isinstance(word, str) and not word:
                yield Problem(f"{parameter}[{index}]", word, "is empty, which SageMaker refuses: leave it out")


def _tag_problems(definition: JobDefinition) -> Iterator[Problem]:
    tags: Any = definition.tags
    for index, tag in enumerate(tags if isinstance(tags, (list, tuple)) else ()):
        key = tag.get("Key") if isinstance(tag, Mapping) else None
        if isinstance(key, str) and key.lower().startswith("aws:"):
            yield Problem(f"tags[{index}].key", key, "begins with aws:, which AWS keeps for its own tags")


def _known_paths(paths: Iterable[tuple[str, Any]]) -> list[tuple[str, PurePosixPath]]:
    return [(name, PurePosixPath(path)) for name, path in paths if isinstance(path, str)]


def _overlaps(inputs: _NamedPaths, outputs: _NamedPaths) -> Iterator[Problem]:
    for (name, output), (taken, source) in product(outputs, inputs):
        if output == source or output in source.parents or source in output.parents:
            yield Problem(name, str(output), f"overlaps {taken}={str(source)!r}: what was read would be uploaded")


def _same_paths(paths: _NamedPaths) -> Iterator[Problem]:
    first: dict[PurePosixPath, str] = {}
    for name, path in paths:
        if path in first:
            yield Problem(name, str(path), f"is the container path of {first[path]} as well")
        first.setdefault(path, name)


def _duplicates(parameter: str, field: str, names: list[Any]) -> Iterator[Problem]:
    counts = Counter(name for name in names if isinstance(name, str))
    for name, count in counts.items():
        if count > 1:
            yield Problem(f"{parameter}[…].{field}", name, f"must be unique, is used {count} times")


def _has_files(folder: Path) -> bool:
    from airflow_sm_processing.processing.uploads.files import holds_files

    return holds_files(folder)
