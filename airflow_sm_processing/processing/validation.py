"""Find every problem of a definition at once, before anything is uploaded or created.

The rules look at strings only: a value that isn't known yet (an XComArg, a template) is left for later. They need
neither boto3 nor AWS, so that a DAG file learns of its mistakes when it is parsed. The limits come from botocore's
service model, which has every limit of the API; botocore itself checks types, required fields and minimums only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import product, takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.definition import (
    code_file_problems,
    code_inputs,
    code_problems,
    image_problems,
    is_packed,
    local_path,
    no_such_path,
    script_problems,
)
from airflow_sm_processing.processing.models import is_s3_uri, names_no_bucket
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import LATE, WireObject, snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import InstancePreference, ProcessingInput

    _NamedPaths: TypeAlias = list[tuple[str, PurePosixPath]]

__all__ = [
    "check_definition",
    "definition_problems",
    "local_file_problems",
    "may_be_newer_instance_type",
    "needs_newer_boto3",
    "request_problems",
    "wait_problems",
]


_FIRST_VERSIONS = {  # found by looking into the versions of botocore, which has boto3's numbers
    "DeleteProcessingJob": "1.40.61",
    "InstancePreferences": "1.43.90",
}
_CURRENT = (1, 44)  # its model has every instance type that this package was checked against

_INSTANCE_TYPE_NAME = r"ml\.[a-z]+[0-9]+[a-z]*(-[a-z]+)?\.(medium|large|[0-9]*xlarge)"


def needs_newer_boto3(feature: str) -> str | None:
    """Return what to say of a feature that the installed boto3 lacks; None if no version is known that brings it."""
    import boto3

    first = _FIRST_VERSIONS.get(feature)
    return first and f"needs boto3 {first} or newer; boto3 {boto3.__version__} is installed"


def may_be_newer_instance_type(value: str) -> bool:
    """Return whether SageMaker may have an instance type that the model of an older boto3 lacks.

    botocore sends values that its model doesn't list, so the service can decide.
    """
    import boto3

    installed = tuple(int(part) for part in re.findall(r"\d+", boto3.__version__)[:2])
    return installed < _CURRENT and re.fullmatch(_INSTANCE_TYPE_NAME, value) is not None


_SHOWN_ENUM_VALUES = 8
_SHOWN_NEAREST = 3
_INSTANCE_TYPE = "ProcessingInstanceType"  # the shape's name in the model


def request_problems(operation: OperationModel, request: dict[str, Any]) -> Iterator[Problem]:
    """Yield what the service would refuse; `parameter` is a path such as `ProcessingInputs[0].S3Input.S3Uri`."""
    shape = operation.input_shape
    if shape is None:
        return
    yield from _problems(shape, request, "")


def _problems(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    if value is LATE:  # it couldn't be read, which is noted, or isn't known yet
        return
    python_type, kind, check = _CHECKS[shape.type_name]
    if not isinstance(value, python_type) or (isinstance(value, bool) and python_type is int):
        yield Problem(path, value, f"must be {kind}, not {type(value).__name__}")
        return
    yield from check(shape, value, path)


def _structure(shape: Shape, value: dict[str, Any], path: str) -> Iterator[Problem]:
    structure = cast("StructureShape", shape)
    newer = {name: rule for name in value.keys() - structure.members if (rule := needs_newer_boto3(name))}
    for name in structure.required_members:
        if name not in value and not newer:  # what is newer may stand in place of what was required
            yield Problem(_joined(path, name), None, "is required")
    for name, item in value.items():
        if name in structure.members:
            yield from _problems(structure.members[name], item, _joined(path, name))
        else:
            rule = newer.get(name) or f"is unknown; known are {', '.join(structure.members)}"
            yield Problem(_joined(path, name), item, rule)


def _list(shape: Shape, value: list[Any], path: str) -> Iterator[Problem]:
    yield from _size(shape, len(value), value, path, "items")
    for index, item in enumerate(value):
        yield from _problems(cast("ListShape", shape).member, item, f"{path}[{index}]")


def _map(shape: Shape, value: dict[Any, Any], path: str) -> Iterator[Problem]:
    mapping = cast("MapShape", shape)
    yield from _size(shape, len(value), value, path, "entries")
    for key, item in value.items():
        yield from _problems(mapping.key, key, f"{path} key {key!r}")
        yield from _problems(mapping.value, item, f"{path}[{key!r}]")


def _string(shape: Shape, value: str, path: str) -> Iterator[Problem]:
    yield from _size(shape, len(value), value, path, "characters")
    if enum := cast("StringShape", shape).enum:
        if value not in enum and not (shape.name == _INSTANCE_TYPE and may_be_newer_instance_type(value)):
            yield Problem(path, value, _enum_rule(value, enum))
    elif (pattern := shape.metadata.get("pattern")) and not _compiled(pattern).fullmatch(value):
        yield Problem(path, value, f"must match {pattern}")


def _number(shape: Shape, value: float, path: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        yield Problem(path, value, f"must be {_range(low, high)}")


def _any(_shape: Shape, _value: object, _path: str) -> Iterator[Problem]:
    return iter(())


_CHECKS: dict[str, Any] = {
    "structure": (dict, "a dict", _structure),
    "list": (list, "a list", _list),
    "map": (dict, "a dict", _map),
    "string": (str, "a string", _string),
    "integer": (int, "an integer", _number),
    "long": (int, "an integer", _number),
    "boolean": (bool, "a boolean", _any),
}


def _size(shape: Shape, size: int, value: object, path: str, unit: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield Problem(path, value, f"must have {_range(low, high)} {unit}, has {size}")


def _range(low: int | None, high: int | None) -> str:
    if low and high is not None:
        return f"{low} to {high}"
    return f"at most {high}" if high is not None else f"at least {low}"


def _enum_rule(value: str, enum: list[str]) -> str:
    if len(enum) <= _SHOWN_ENUM_VALUES:
        return f"must be one of {', '.join(enum)}"
    import difflib  # only for what is wrong

    nearest = sorted(
        difflib.get_close_matches(value, enum, n=_SHOWN_NEAREST * 2),
        key=lambda other: (difflib.SequenceMatcher(None, other, value).ratio(), _shared_end(value, other)),
        reverse=True,
    )[:_SHOWN_NEAREST]
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else f", such as {', '.join(enum[:3])}"
    return f"is none of the {len(enum)} values that SageMaker knows{hint}"


def _shared_end(value: str, other: str) -> int:
    """Return how much two values have in common at their ends: m5.xlarge is rather ml.m5.xlarge than ml.r5.xlarge."""
    pairs = zip(reversed(value), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of the model, which is written in Java's dialect.

    Python has neither `\p{…}` classes nor surrogate pairs: letters and numbers are `\w`, separators are Unicode's
    Zs, Zl and Zp, and a pair range is the range of code points that it stands for.
    """
    python = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\\U00010000-\\U0010FFFF")
    python = python.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\w")
    python = python.replace(r"\p{Z}", r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000")
    return re.compile(python)


_TYPE_PREFIX = "ml."
_EC2_TYPE = r"[a-z][a-z0-9-]*\.[a-z0-9-]+"
_CONTAINER_ROOT = PurePosixPath("/opt/ml/processing")


def definition_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong whatever the account, the region and the files on this machine are."""
    yield from (_as_called(problem, definition) for problem in _all_problems(definition))


def _all_problems(definition: JobDefinition) -> Iterator[Problem]:
    yield from _cluster_problems(definition)
    yield from code_problems(definition)
    yield from _input_problems(definition)
    yield from _output_problems(definition)
    yield from _shared_name_problems(definition)
    yield from _container_path_problems(definition)
    yield from _word_problems(definition)
    yield from _tag_problems(definition)


def local_file_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield the local code and inputs that aren't there."""
    yield from (_as_called(problem, definition) for problem in _code_file_problems(definition))
    for index, item in enumerate(definition.inputs):
        source = item.source
        if item.dataset_definition is None and isinstance(source, str) and not is_s3_uri(source):
            path = local_path(source)
            if path is None:
                yield Problem(f"inputs[{index}].source", source, "must be an S3 URI, a local path or a file:// URI")
            elif not path.exists():
                yield Problem(f"inputs[{index}].source", source, no_such_path(path))
            elif path.is_dir() and not _has_files(path):
                yield Problem(f"inputs[{index}].source", source, f"the folder has no files: {path.absolute()}")


def _as_called(problem: Problem, definition: JobDefinition) -> Problem:
    """Return the problem of an application by the parameter that it was given in."""
    is_application = definition.spark is not None and problem.parameter in {"code", "script_name"}
    return problem.replace(parameter="submit_app") if is_application else problem


def _code_file_problems(definition: JobDefinition) -> Iterator[Problem]:
    if definition.git_config is not None:
        return  # they are looked for in the clone
    if not is_packed(definition):
        yield from code_file_problems(definition)
    if definition.spark is not None:
        yield from definition.spark.file_problems()
    yield from script_problems(definition)
    if definition.code is not None and not any(code_problems(definition)):
        from airflow_sm_processing.processing.source_folder import source_file_problems  # the parse has no need

        yield from source_file_problems(definition)


def wait_problems(*, wait: bool, logs: bool) -> Iterator[Problem]:
    """Yield the contradiction of showing logs of a job that isn't waited for."""
    if logs and not wait:
        yield Problem("logs", logs, "can only be shown while waiting: set wait=True, or logs=False")


def _role_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield that there is no role, once defaults have been applied."""
    if not definition.role:
        yield Problem("role", definition.role, "is required, and no default has RoleArn")


def _cluster_problems(definition: JobDefinition) -> Iterator[Problem]:
    yield from image_problems(definition)
    if definition.instance_type and definition.instance_preferences:
        yield Problem("instance_type", definition.instance_type, "can't be combined with instance_preferences")
    if not definition.instance_type and not definition.instance_preferences:
        yield Problem("instance_type", None, "is required, or instance_preferences instead")
    if definition.instance_count is None and not definition.instance_preferences:
        yield Problem("instance_count", None, "is required")
    yield from _instance_type_problems(definition)
    if isinstance(definition.instance_preferences, tuple):
        yield from _preference_problems(definition.instance_preferences, definition.instance_count)


def _instance_type_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield the types that are EC2's names for instances; which types there are, only the service model says."""
    given = [("instance_type", definition.instance_type)]
    if isinstance(definition.instance_preferences, tuple):
        given += [
            (f"instance_preferences[{index}].instance_type", item.instance_type)
            for index, item in enumerate(definition.instance_preferences)
        ]
    for name, value in given:
        if isinstance(value, str) and value and not value.startswith(_TYPE_PREFIX):
            like = f": did you mean {_TYPE_PREFIX}{value}?" if re.fullmatch(_EC2_TYPE, value) else ""
            yield Problem(name, value, f"must begin with {_TYPE_PREFIX}{like}")


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
        yield Problem("instance_count", count, "can't be combined with the counts of the instance_preferences")
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
    return [*names, *(item.input_name for item in code_inputs(definition))]


def _output_names(definition: JobDefinition) -> list[Any]:
    return [item.output_name or f"output-{position}" for position, item in enumerate(definition.outputs, 1)]


def _shared_name_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield the outputs that have an input's name: SageMaker wants one set of names for both."""
    inputs = _input_names(definition)
    for index, name in enumerate(_output_names(definition)):
        if isinstance(name, str) and name in inputs:
            is_code = inputs.index(name) >= len(definition.inputs)
            whose = "the script's own input" if is_code else f"inputs[{inputs.index(name)}]"
            rule = f"is the name of {whose} as well: no input and output of a job may share a name"
            yield Problem(f"outputs[{index}].output_name", name, rule)


def _one_input(item: ProcessingInput) -> Iterator[tuple[str, Any, str]]:
    if item.json is not None:
        yield from _json_problems(item)
    elif item.s3_input is None and item.dataset_definition is None:
        yield "source", None, "is required, or a dataset_definition or json instead"
    elif item.container_path is None and not item.app_managed and not _is_late(item):
        yield "destination", None, "is required unless the input is app_managed"
    if names_no_bucket(item.source):
        yield "source", item.source, "has no bucket"
    if item.s3_input is not None and item.dataset_definition is not None:
        yield "dataset_definition", item.dataset_definition, "can't be combined with source or s3_input"
    if item.s3_compression_type == "Gzip" and item.s3_input_mode in ("File", None):
        yield "s3_compression_type", "Gzip", "data can only be gzipped when s3_input_mode is Pipe"
    if isinstance(item.dataset_definition, WireObject) and not _has_one_query(item.dataset_definition):
        yield "dataset_definition", item.dataset_definition, "must have exactly one of the Athena and Redshift queries"


def _json_problems(item: ProcessingInput) -> Iterator[tuple[str, Any, str]]:
    if item.s3_input is not None or item.dataset_definition is not None:
        yield "json", item.json, "can't be combined with source, s3_input or dataset_definition"
    if item.destination is None:
        yield "destination", None, "is required with json"
    name = item.file_name
    if isinstance(name, str) and (name in {"", ".", ".."} or "/" in name or "\0" in name):
        yield "file_name", name, "must be a file's name without a folder"


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
            yield Problem(f"outputs[{index}].destination", destination, "has no bucket")


def _container_path_problems(definition: JobDefinition) -> Iterator[Problem]:
    inputs = _known_paths((f"inputs[{i}].destination", item.container_path) for i, item in enumerate(definition.inputs))
    outputs = _known_paths((f"outputs[{i}].source", item.source) for i, item in enumerate(definition.outputs))
    inputs += _known_paths(("code", item.destination) for item in code_inputs(definition))
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
    """Return whether only a run knows if the input is there: one branch's output may replace another's."""
    return item.optional is not False and not isinstance(item.source, str)


_LONGEST_WORD = 128 * 1024 - 1
"""Bytes of one argument without its NUL: MAX_ARG_STRLEN in execve(2)."""


def _word_problems(definition: JobDefinition) -> Iterator[Problem]:
    for parameter in ("entrypoint", "command", "arguments"):
        words = getattr(definition, parameter)
        for index, word in enumerate(words if isinstance(words, (list, tuple)) else ()):
            if isinstance(word, str) and not word:
                yield Problem(f"{parameter}[{index}]", word, "is empty, which SageMaker refuses: leave it out")
            elif isinstance(word, str) and len(word.encode(errors="replace")) > _LONGEST_WORD:
                rule = f"has over {_LONGEST_WORD:,} bytes, and Linux starts no command with it: use an input"
                yield Problem(f"{parameter}[{index}]", f"{word[:100]}…", rule)


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


# Stand-ins for what only AWS knows; as long as the real ones.
_BUCKET = "sagemaker-us-east-1-123456789012"
_ROLE_ARN = "arn:aws:iam::123456789012:role/"

# How the request's paths are called by the user, longest first.
_PARAMETERS = (
    (r"ProcessingInputs(\[\d+\])\.S3Input\.S3Uri", r"inputs\1.source"),
    (r"ProcessingInputs(\[\d+\])\.S3Input\.LocalPath", r"inputs\1.destination"),
    (r"ProcessingInputs(\[\d+\])\.S3Input\.", r"inputs\1."),
    (r"ProcessingInputs", r"inputs"),
    (r"ProcessingOutputConfig\.Outputs(\[\d+\])\.S3Output\.S3Uri", r"outputs\1.destination"),
    (r"ProcessingOutputConfig\.Outputs(\[\d+\])\.S3Output\.LocalPath", r"outputs\1.source"),
    (r"ProcessingOutputConfig\.Outputs(\[\d+\])\.S3Output\.", r"outputs\1."),
    (r"ProcessingOutputConfig\.Outputs", r"outputs"),
    (r"ProcessingOutputConfig\.KmsKeyId", r"output_kms_key"),
    (r"ProcessingResources\.ClusterConfig\.VolumeKmsKeyId", r"volume_kms_key"),
    (r"ProcessingResources\.ClusterConfig\.VolumeSizeInGB", r"volume_size_in_gb"),
    (r"ProcessingResources\.ClusterConfig\.", r""),
    (r"AppSpecification\.ContainerEntrypoint", r"entrypoint"),
    (r"AppSpecification\.ContainerArguments", r"arguments"),
    (r"AppSpecification\.", r""),
    (r"Environment", r"env"),
    (r"NetworkConfig\.VpcConfig\.", r"network_config."),
    (r"StoppingCondition\.", r""),
    (r"ProcessingJobName", r"job_name"),
    (r"RoleArn", r"role"),
)


def check_definition(definition: JobDefinition, operation: OperationModel, *, extra: Iterable[Problem] = ()) -> None:
    """Check a definition without calling AWS.

    Args:
        definition: What is to be checked.
        operation: The service model of CreateProcessingJob, from the client that will send the request.
        extra: What the caller found by itself, to be reported along.

    Raises:
        DefinitionError: With every problem.
    """
    problems = [*extra, *_role_problems(definition), *definition_problems(definition), *local_file_problems(definition)]
    reported = {problem.parameter for problem in problems}
    problems += [problem for problem in _limit_problems(definition, operation) if problem.parameter not in reported]
    if problems:
        raise DefinitionError(problems, subject=str(definition.job_name or definition.base_job_name or "the job"))


def _limit_problems(definition: JobDefinition, operation: OperationModel) -> Iterator[Problem]:
    from airflow_sm_processing.processing.request import default_keys, plan_submission  # the parse of a DAG has no need

    role = str(definition.role or "")
    role_arn = role if "/" in role else _ROLE_ARN + role
    plan = plan_submission(definition, role_arn=role_arn, key=default_keys(_BUCKET, None), operation=operation)
    for problem in request_problems(operation, plan.unmerged_request):
        if problem.parameter == "ProcessingInputs" and plan.unmerged:
            continue  # within the bound, with manifests
        yield _as_written(problem.replace(parameter=_parameter(problem.parameter)), definition)


_OVER = ("must have at most", "must have 1 to")
_LONG_SETTINGS = "with an entrypoint of yours, some 25,000 characters fit in; ProcessingInput.from_json takes more"
_LONG_ARGUMENTS = "with an entrypoint of yours, they go by a file"


def _as_written(problem: Problem, definition: JobDefinition) -> Problem:
    """Return the problem in terms of what the user wrote instead of what it becomes in the request."""
    if problem.parameter == "role":
        return problem.replace(value=definition.role)
    if problem.parameter == "env" or problem.parameter.startswith("env["):
        rule = f"{problem.rule}: {_LONG_SETTINGS}" if problem.rule.startswith(_OVER) else problem.rule
        return problem.replace(value=hidden(problem.value), rule=rule)
    if problem.parameter.startswith("arguments") and problem.rule.startswith(_OVER):
        return problem.replace(rule=f"{problem.rule}, for the image's own entrypoint: {_LONG_ARGUMENTS}")
    if problem.parameter == "inputs" and problem.rule.startswith(_OVER):
        return _of_inputs(problem, definition)
    return problem if definition.code is None else _as_called(_of_script(problem, definition), definition)


def _of_inputs(problem: Problem, definition: JobDefinition) -> Problem:
    """Return the problem of too many inputs with what could make them less."""
    from airflow_sm_processing.processing.request import why_over_bound  # the parse of a DAG has no need

    count, rule = len(code_inputs(definition)), problem.rule
    if count:
        own = "the script's own" if count == 1 else f"{count} of the script's own"
        rule = f"{rule}: {len(definition.inputs)} of yours and {own}"
    return problem.replace(rule=f"{rule}; {why_over_bound(definition)}")


def _of_script(problem: Problem, definition: JobDefinition) -> Problem:
    """Return the problem with the script's own input named, and the words of its command, as the user knows them."""
    number = re.match(r"inputs\[(\d+)\]", problem.parameter)
    if number and int(number[1]) >= len(definition.inputs):  # with_code puts them last
        if is_packed(definition) and definition.source_dir is not None:
            return problem.replace(parameter="source_dir", value=definition.source_dir)
        return problem.replace(parameter="code", value=definition.code)
    return problem if is_packed(definition) else _of_command(problem, definition)


def _of_command(problem: Problem, definition: JobDefinition) -> Problem:
    """Return the problem with a word of the entrypoint by the parameter that it is from."""
    command, word = definition.command or (), re.match(r"entrypoint\[(\d+)\]", problem.parameter)
    position = int(word[1]) - len(command) if word else -1
    if position < 0:
        return problem.replace(parameter=re.sub("^entrypoint", "command", problem.parameter))
    options = [name for name, _ in definition.spark.options()] if definition.spark is not None else []
    script = "script_name" if definition.script_name else "code"
    return problem.replace(parameter=[*options, script][position])


def _parameter(path: str) -> str:
    for pattern, name in _PARAMETERS:
        replaced, count = re.subn(f"^{pattern}", name, path)
        if count:
            path = replaced
            break
    return snake_case(path)
