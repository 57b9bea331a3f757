"""A job as its author defines it, read from plain values: with a script, local paths, and names not yet generated."""

from __future__ import annotations

import dataclasses
import re
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.models import (
    NetworkConfig,
    ProcessingInput,
    ProcessingOutput,
    S3Input,
    S3Location,
    as_folder,
    is_s3_uri,
    names_no_bucket,
    own_fields,
)
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import (
    LATE,
    Value,
    ValueReader,
    local_path,
    no_such_path,
    rule_of_structure,
    to_plain,
    value_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from airflow_sm_processing.processing.models import InstancePreference
    from airflow_sm_processing.processing.spark import SparkSubmission
    from airflow_sm_processing.processing.values import Late

    _T = TypeVar("_T")

__all__ = [
    "DEFINITION_PARAMETERS",
    "ENTRY_SCRIPT",
    "LONGEST_BASE",
    "MAX_LENGTH",
    "PROCESSOR_PARAMETERS",
    "SOURCE_ARCHIVE",
    "DefinitionReader",
    "JobDefinition",
    "absolute",
    "base_name_from_image",
    "code_file_problems",
    "code_inputs",
    "code_problems",
    "code_script",
    "codeartifact_repository",
    "image_line",
    "image_problems",
    "is_of_code",
    "is_packed",
    "job_name_from_base",
    "legal_name",
    "local_path",
    "missing_code_problems",
    "no_such_path",
    "request_parameters",
    "requirements_problems",
    "script_problems",
    "short_form",
    "source_in_s3",
    "submitted_uris",
    "with_code",
    "with_code_below",
    "with_image",
]


@value_object
class JobDefinition(Value):
    """All parameters of one CreateProcessingJob request, under the SDK's names."""

    role: str | Late | None
    image_uri: str | Late | None
    image: str | Late | None = None
    """Instead of `image_uri`: a framework and its version, such as `sklearn:1.4-2`, or a URI."""
    instance_count: int | Late | None = None
    instance_type: str | Late | None = None
    instance_preferences: tuple[InstancePreference, ...] = ()
    """Up to five instance types in order of preference, instead of `instance_type`."""
    entrypoint: Sequence[str] | None = None
    code: str | Late | None = None
    """A script, or a folder with `script_name` in it: a local path, `file://` or `s3://`; runs after `command`."""
    script_name: str | Late | None = None
    source_dir: str | Late | None = None
    """A folder with `code` in it, which is sent as an archive: a local one, or in S3 as an archive or a prefix."""
    dependencies: Sequence[str] | None = None
    """Local files and folders that are put beside those of the source folder in the container."""
    requirements: Sequence[str] | str | None = None
    """What pip installs first: the lines of a requirements file, or the local path of one."""
    code_location: str | None = None
    """The S3 prefix for the source folder, instead of the default bucket's."""
    codeartifact_repo_arn: str | Late | None = None
    """The CodeArtifact repository that pip installs from; the container's `aws` logs in to it."""
    git_config: Mapping[str, Any] | Late | None = None
    """The repository of code, source folder and dependencies, under the SDK's keys; it contains secrets."""
    is_framework: bool = False
    """Whether code is packed and run like the SDK's FrameworkProcessor does, with the folder's own requirements.txt."""
    command: Sequence[str] | None = None
    spark: SparkSubmission | None = None
    """The options and files that `command` submits to Spark along with `code`, the application."""
    arguments: Sequence[str] | None = None
    volume_size_in_gb: int | Late = 30
    volume_kms_key: str | Late | None = None
    output_kms_key: str | Late | None = None
    max_runtime_in_seconds: int | Late | None = None
    base_job_name: str | Late | None = None
    job_name: str | Late | None = None
    """The job's whole name; if None, one is generated from `base_job_name`, or from the image's name."""
    env: Mapping[str, str] | None = None
    tags: Sequence[Mapping[str, str]] | None = None
    network_config: NetworkConfig | None = None
    experiment_config: Mapping[str, str] | None = None
    inputs: tuple[ProcessingInput, ...] = ()
    outputs: tuple[ProcessingOutput, ...] = ()
    kms_key: str | Late | None = None
    """The KMS key that encrypts uploads: code and local inputs."""

    def __post_init__(self) -> None:
        if any(getattr(item, "is_left_out", False) for item in self.inputs):
            kept = tuple(item for item in self.inputs if not item.is_left_out)
            object.__setattr__(self, "inputs", kept)

    @property
    def written_image(self) -> str | Late | None:
        """The image as its author wrote it."""
        return self.image_uri if self.image_uri or self.image is None else self.image

    @property
    def base_name(self) -> str:
        """The beginning of generated job names."""
        return str(self.base_job_name or base_name_from_image(str(self.written_image or "")))


def with_image(definition: JobDefinition, region: Callable[[], str]) -> tuple[JobDefinition, tuple[Problem, ...]]:
    """Return the definition with the URI of its image, and the problems if there is none.

    The job's name still begins with the image as it was written: `sklearn`, whatever the image's repository is.

    Args:
        definition: What the user defined.
        region: Returns the job's region; called only for an image that is given by its short form.
    """
    short = short_form(definition)
    if short is None:
        is_one_uri = definition.image and not definition.image_uri
        return dataclasses.replace(definition, image=None, image_uri=definition.image) if is_one_uri else definition, ()
    from airflow_sm_processing.image_uris import resolve

    place = region()
    try:
        uri = resolve(short.text, place, _instance_types(definition)).uri
    except DefinitionError as error:
        return definition, tuple(Problem(short.parameter, short.text, problem.rule) for problem in error.problems)
    return dataclasses.replace(definition, image=None, image_uri=uri, base_job_name=definition.base_name), ()


def image_line(definition: JobDefinition, region: Callable[[], str]) -> str | None:
    """Return the log line for an image that is given by its short form, which also mentions a newer version."""
    short = short_form(definition)
    if short is None:
        return None
    from airflow_sm_processing.image_uris import resolve, tables_origin

    image = resolve(short.text, region(), _instance_types(definition))
    newer = f"; {image.newer} is newer ({tables_origin()})" if image.newer else ""
    return f"Image {short.text} is {image.uri}{newer}"


@value_object
class ShortForm(Value):
    """An image's short form, and the name of its parameter."""

    parameter: str
    text: str


def short_form(definition: JobDefinition) -> ShortForm | None:
    """Return the image's short form; None if there is no image, or it is a URI."""
    text = definition.written_image
    if not isinstance(text, str) or "/" in text or (definition.image and definition.image_uri):
        return None
    from airflow_sm_processing.image_uris import is_short_form  # not needed to parse a DAG file

    parameter = "image" if definition.image else "image_uri"
    return ShortForm(parameter, text) if is_short_form(text, parameter) else None


def image_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong with the image, without reading the tables of images."""
    image, image_uri = definition.image, definition.image_uri
    if not image and not image_uri:
        yield Problem("image_uri", image_uri, 'is required, or image instead, such as "sklearn:1.4-2"')
    elif image and image_uri:
        yield Problem("image", image, "can't be combined with image_uri: set one of them")
    for name, text in (("image", image), ("image_uri", image_uri)):
        if isinstance(text, str) and any(map(str.isspace, text)):
            yield Problem(name, text, "isn't an image URI: it has white space")
        elif name == "image" and isinstance(text, str) and text and "/" not in text:
            from airflow_sm_processing.image_uris import short_form_problems  # not needed for a URI

            yield from short_form_problems(text, name)


def _instance_types(definition: JobDefinition) -> list[str]:
    types = [definition.instance_type, *(item.instance_type for item in definition.instance_preferences)]
    return [name for name in types if isinstance(name, str)]


CODE_INPUT_NAME = "code"
COMMAND_INPUT_NAME = "airflow-command"
"""The input of the script for a command whose arguments are too long for a request."""
MANIFEST_INPUT_NAMES = "airflow-inputs-"
"""The beginning of the names of manifests, which stand in for inputs over the bound of a request."""
CODE_CONTAINER_PATH = PurePosixPath("/opt/ml/processing/input/code")
ENTRYPOINT_INPUT_NAME = "entrypoint"
_ENTRYPOINT_CONTAINER_PATH = PurePosixPath("/opt/ml/processing/input/entrypoint")
SOURCE_ARCHIVE = "sourcedir.tar.gz"
ENTRY_SCRIPT = "runproc.sh"
_SHELL = "/bin/bash"
SPARK_COMMAND = "smspark-submit"
_SPARK_INPUTS = frozenset({"py-files", "jars", "files", "conf"})
_S3A = "(?i)s3a?://"
_REQUIRED = "is required: a local file or folder, file:// or s3://"


def is_packed(definition: JobDefinition) -> bool:
    """Return whether an entry script prepares and runs the code."""
    if definition.code is None:
        return False
    is_asked = definition.source_dir is not None or definition.dependencies or definition.requirements
    return bool(is_asked) or (definition.is_framework and not _is_in_s3(definition.code))


def source_in_s3(definition: JobDefinition) -> str | None:
    """Return the S3 URI of code or a source folder that is already in S3; a prefix ends with a slash."""
    if definition.source_dir is None:
        return _code_source(definition) if _is_in_s3(definition.code) else None
    uri = definition.source_dir
    if not isinstance(uri, str) or not is_s3_uri(uri):
        return None
    return uri if uri.endswith((".tar.gz", ".tgz")) else as_folder(uri)


def code_script(definition: JobDefinition) -> str:
    """Return the script's path in the container's code folder."""
    if definition.source_dir is not None:
        return str(definition.code)
    return str(definition.script_name or _file_name(str(definition.code)))


def code_inputs(definition: JobDefinition) -> tuple[ProcessingInput, ...]:
    """Return the inputs for the code, which follow the user's own; packages still have to be made for their sources.

    As in the SDK's FrameworkProcessor's requests, a folder's path ends with a slash, and a script's doesn't.
    """
    if definition.code is None:
        return ()
    if is_packed(definition):
        entry = _code_input(LATE, ENTRYPOINT_INPUT_NAME, _ENTRYPOINT_CONTAINER_PATH)
        return _code_input(source_in_s3(definition), CODE_INPUT_NAME, f"{CODE_CONTAINER_PATH}/"), entry
    if definition.is_framework:
        return (_code_input(definition.code, ENTRYPOINT_INPUT_NAME, _ENTRYPOINT_CONTAINER_PATH),)
    names = definition.spark.input_names() if definition.spark is not None else ()
    submitted = (_code_input(LATE, name, CODE_CONTAINER_PATH.with_name(name)) for name in names)
    return (*submitted, _code_input(_code_source(definition), CODE_INPUT_NAME, CODE_CONTAINER_PATH))


def submitted_uris(command: Sequence[Any]) -> Iterator[str]:
    """Yield the S3 URIs among the options of a Spark application's command."""
    for word in command[1:-1] if command and command[0] == SPARK_COMMAND else ():
        yield from (re.sub(_S3A, "s3://", part) for part in str(word).split(",") if re.match(_S3A, part))


def is_of_code(item: ProcessingInput) -> bool:
    """Return whether a job's input is for code rather than data."""
    if item.input_name in {CODE_INPUT_NAME, ENTRYPOINT_INPUT_NAME, COMMAND_INPUT_NAME}:
        return True
    name = str(item.input_name)
    return name in _SPARK_INPUTS and item.container_path == str(CODE_CONTAINER_PATH.with_name(name))


def _code_input(source: Any, name: str, path: PurePosixPath | str) -> ProcessingInput:
    return ProcessingInput(source=source, destination=str(path), input_name=name)


def with_code(definition: JobDefinition) -> JobDefinition:
    """Return the definition with inputs for its code at the end, and with the script in the entrypoint."""
    if definition.code is None:
        return definition
    script = code_script(definition)
    options = definition.spark.options() if definition.spark is not None else ()
    entrypoint = [*(definition.command or ()), *(word for _, word in options), str(CODE_CONTAINER_PATH / script)]
    if is_packed(definition) or definition.is_framework:
        name = ENTRY_SCRIPT if is_packed(definition) else script
        entrypoint = [_SHELL, str(_ENTRYPOINT_CONTAINER_PATH / name)]
    return dataclasses.replace(
        definition,
        code=None,
        source_dir=None,
        dependencies=None,
        requirements=None,
        codeartifact_repo_arn=None,
        git_config=None,
        spark=None,
        entrypoint=entrypoint,
        inputs=(*definition.inputs, *code_inputs(definition)),
    )


def with_code_below(definition: JobDefinition, folder: Path) -> JobDefinition:
    """Return the definition with relative paths of local code made absolute, below a folder."""
    places: dict[str, Any] = {
        name: absolute(text, folder)
        for name in ("code", "source_dir", "requirements")
        if isinstance(text := getattr(definition, name), str)
        if name != "code" or definition.source_dir is None  # otherwise it is the script's path in the source folder
    }
    if definition.dependencies:
        places["dependencies"] = [absolute(text, folder) for text in definition.dependencies]
    if definition.spark is not None:
        places["spark"] = definition.spark.below(lambda text: absolute(text, folder))
    return dataclasses.replace(definition, git_config=None, **places)


def absolute(text: str, folder: Path) -> str:
    """Return a relative path as an absolute one below the folder; a URI or an absolute path is returned unchanged."""
    path: Any = None if "://" in text else local_path(text)
    return text if path is None or path.is_absolute() else str(folder / path)


def _code_source(definition: JobDefinition) -> Any:
    source = definition.code
    if isinstance(source, str) and is_s3_uri(source) and _file_name(source) != code_script(definition):
        return as_folder(source)  # the folder of the script
    return source


def _is_in_s3(value: object) -> bool:
    return isinstance(value, str) and is_s3_uri(value)


def code_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong with the code's parameters, without looking at files."""
    code, script = definition.code, definition.script_name
    yield from definition.spark.problems() if definition.spark is not None else ()
    yield from requirements_problems(definition.requirements)
    yield from _codeartifact_problems(definition)
    yield from _git_problems(definition)
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
    if definition.source_dir is not None:
        yield from _source_problems(definition)
        return
    yield from _place_problems(definition)
    if isinstance(script, str) and _leads_out(script):
        yield Problem("script_name", script, "must be a path inside the code folder")
    yield from _dependency_problems(definition)


_CODEARTIFACT_ARN = (
    r"(?a)arn:[a-z-]+:codeartifact:(?P<region>[a-z0-9-]+):(?P<owner>\d{12})"
    r":repository/(?P<domain>[a-z][a-z0-9-]{0,48}[a-z0-9])/(?P<repository>[A-Za-z0-9][\w.-]{1,99})"
)


def codeartifact_repository(arn: str) -> Mapping[str, str] | None:
    """Return `region`, `owner`, `domain` and `repository` from a CodeArtifact repository's ARN; None for other text."""
    found = re.fullmatch(_CODEARTIFACT_ARN, arn)
    return found and found.groupdict()


def _codeartifact_problems(definition: JobDefinition) -> Iterator[Problem]:
    arn = definition.codeartifact_repo_arn
    if not isinstance(arn, str) or not arn:
        return
    if codeartifact_repository(arn) is None:
        rule = "must be arn:<partition>:codeartifact:<region>:<account>:repository/<domain>/<repository>"
        yield Problem("codeartifact_repo_arn", arn, rule)
    elif not definition.requirements and not (definition.is_framework and is_packed(definition)):
        yield Problem("codeartifact_repo_arn", arn, "needs requirements, which pip installs from there")


def _git_problems(definition: JobDefinition) -> Iterator[Problem]:
    config = definition.git_config
    if config is None or config is LATE:
        return
    from airflow_sm_processing.processing.repository import git_problems  # few jobs have one

    yield from git_problems(config)
    if definition.code is None:
        yield Problem("git_config", None, "needs code, a path in the repository")
    place = "code" if definition.source_dir is None else "source_dir"
    given: dict[str, Any] = {place: getattr(definition, place)}
    if isinstance(definition.requirements, str):
        given["requirements"] = definition.requirements
    if isinstance(definition.dependencies, list):
        given |= {f"dependencies[{index}]": text for index, text in enumerate(definition.dependencies)}
    for name, text in given.items():
        if isinstance(text, str) and (not text or "://" in text or _leads_out(text)):
            yield Problem(name, text, "must be a path in the repository of git_config")


def _source_problems(definition: JobDefinition) -> Iterator[Problem]:
    source, code = definition.source_dir, definition.code
    if source == "":
        yield Problem("source_dir", source, "is empty: set a folder, or leave it out")
    elif names_no_bucket(source):
        yield Problem("source_dir", source, "has no bucket")
    if isinstance(code, str) and (not code or "://" in code or _leads_out(code)):
        yield Problem("code", code, "must be the script's path inside source_dir")
    if definition.script_name is not None:
        yield Problem(
            "script_name", definition.script_name, "can't be combined with source_dir: code is the script's path in it"
        )
    yield from _dependency_problems(definition)


def _dependency_problems(definition: JobDefinition) -> Iterator[Problem]:
    place = "code" if definition.source_dir is None else "source_dir"
    given: Any = definition.dependencies
    for index, item in enumerate(given if isinstance(given, list) else ()):  # the list may not be known yet
        name = f"dependencies[{index}]"
        if _is_in_s3(getattr(definition, place)):
            yield Problem(name, item, f"can't be added to files that are in S3 already: {place} must be local")
        elif isinstance(item, str) and (not item or local_path(item) is None):
            yield Problem(name, item, "must be a local file or folder")


def requirements_problems(requirements: Any) -> Iterator[Problem]:
    """Yield what is wrong with requirements that are neither lines of a requirements file nor the path of one."""
    lines = requirements if isinstance(requirements, (list, tuple)) else ()
    for index, line in enumerate(lines):
        if line is not LATE and (not isinstance(line, str) or "\n" in line or not line.strip()):
            yield Problem(
                f"requirements[{index}]", line, "must be a line of a requirements file, such as 'pandas==2.2'"
            )


def _leads_out(path: str) -> bool:
    return path.startswith("/") or ".." in PurePosixPath(path).parts


def _place_problems(definition: JobDefinition) -> Iterator[Problem]:
    code, script = definition.code, definition.script_name
    if definition.git_config is not None:
        return  # it is a path in the repository
    if code == "":
        yield Problem("code", code, _REQUIRED)
    elif names_no_bucket(code):
        yield Problem("code", code, "has no bucket")
    elif isinstance(code, str) and is_s3_uri(code) and script is None and not _file_name(code):
        yield Problem("code", code, "is a prefix: set script_name to the file to run")


def missing_code_problems(definition: JobDefinition, folder: Path, what: str) -> Iterator[Problem]:
    """Yield the paths of code that are missing in a repository, which was cloned to a folder."""
    script = definition.code
    if definition.source_dir is not None:
        script = str(PurePosixPath(str(definition.source_dir), str(script)))
    given = {"code": script, "source_dir": definition.source_dir}
    if isinstance(definition.requirements, str):
        given["requirements"] = definition.requirements
    given |= {f"dependencies[{index}]": text for index, text in enumerate(definition.dependencies or ())}
    for name, text in given.items():
        if text is not None and not (folder / str(text)).exists():
            yield Problem(name, text, f"isn't in {what}")


def code_file_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong with the code's files on this machine."""
    code, script = definition.code, definition.script_name
    if not code or not isinstance(code, str) or is_s3_uri(code):
        return
    path = local_path(code)
    if path is None:
        yield Problem("code", code, "must be a local path, a file:// URI or an S3 URI")
    elif not path.exists():
        yield Problem("code", code, no_such_path(path))
    elif path.is_dir():
        yield from _folder_problems(path, script)
    elif script is not None and script != path.name:
        yield Problem(
            "script_name", script, f"code is one file, {path.name}: leave script_name out, or set code to its folder"
        )


def _folder_problems(folder: Path, script: str | None) -> Iterator[Problem]:
    if script is None:
        yield Problem("script_name", None, f"code is a folder, {folder}: set script_name to the file to run")
    elif not (folder / script).is_file():
        yield Problem("script_name", script, no_such_path(folder / script))


def script_problems(definition: JobDefinition, folder: Path | None = None) -> Iterator[Problem]:
    """Yield a problem if the job's local Python script doesn't compile; a missing script is ignored.

    Args:
        definition: What the user defined.
        folder: The folder for relative paths.
    """
    path = _python_script(definition)
    reason = None if path is None else _compile_error(path if folder is None else folder / path)
    if reason is not None:
        here = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        rule = (
            f"doesn't compile: {reason} ({here}, as here; where the container has another, a command such as "
            '["python3.14"] says so, and nothing is compiled)'
        )
        given = "code" if definition.script_name is None else "script_name"
        yield Problem(given, getattr(definition, given), rule)


def _compile_error(path: Path) -> str | None:
    """Return why a script doesn't compile; None if it does, or doesn't exist."""
    try:
        found = path.stat()
        return _compiled(path, found.st_mtime_ns, found.st_size)
    except OSError:
        return None


@cache
def _compiled(path: Path, _modified_ns: int, _size: int) -> str | None:
    """Return why a script doesn't compile; cached, so that it is compiled once for all tasks of a DAG that run it."""
    source = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes and the like, which don't affect the job
            compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    except ValueError as error:
        return str(error)
    except (RecursionError, MemoryError):
        return None  # nested too deeply for this interpreter
    return None


def _python_script(definition: JobDefinition) -> Path | None:
    """Return the local script if this machine's Python parses it like the container's does; None otherwise."""
    code, command = definition.code, definition.command or ()
    if (
        not isinstance(code, str)
        or not isinstance(command, (list, tuple))
        or definition.git_config is not None
        or source_in_s3(definition) is not None
    ):
        return None
    interpreter = PurePosixPath(str(command[0])).name if command else "python"
    version = re.fullmatch(r"python(\d*)(\.\d+)?", interpreter)
    major, minor = sys.version_info[:2]
    if version is None or version[1] not in {"", str(major)} or version[2] not in {None, f".{minor}"}:
        return None
    folder, script = definition.source_dir, definition.script_name
    if not all(isinstance(text, (str, type(None))) for text in (folder, script)):
        return None  # only a run knows it
    path = local_path(code if folder is None else f"{folder}/{code}")
    if path is not None and folder is None and script is not None:
        path /= script
    return path if path is not None and path.suffix == ".py" else None


def _file_name(code: str) -> str:
    if is_s3_uri(code):
        return S3Location.parse(code).key.rpartition("/")[2]
    path = local_path(code)
    return path.name if path is not None else ""


DEFAULT_BASE_NAME = "processing-job"
MAX_LENGTH = 63
"""The maximum length of a name: the SDK's own limit, which SageMaker's pattern allows."""
_TIMESTAMP_LENGTH = len("2000-01-31-23-59-59-999")
LONGEST_BASE = MAX_LENGTH - _TIMESTAMP_LENGTH - 1
"""The number of characters of a base that fit in a generated name."""
_IMAGE = r"^(?:.+/)?([^:/@]+)(?:[:@].*)?$"
_ILLEGAL = r"[^a-zA-Z0-9-]+"


def base_name_from_image(image_uri: str) -> str:
    """Return the last segment of an image's path: `registry/team/sklearn:1.2` gives `sklearn`."""
    match = re.match(_IMAGE, image_uri.rstrip("/"))
    return match.group(1) if match else DEFAULT_BASE_NAME


def job_name_from_base(base: str, *, now: datetime | None = None) -> str:
    """Return a job name of at most 63 characters: the base and a UTC timestamp to the millisecond.

    Characters that SageMaker doesn't allow in names (`_`, `.`, `@` …) become hyphens; a legal base is only cut.
    """
    moment = now or datetime.now(timezone.utc)
    timestamp = f"{moment:%Y-%m-%d-%H-%M-%S}-{moment.microsecond // 1000:03d}"
    return f"{legal_name(base)[:LONGEST_BASE]}-{timestamp}"


def legal_name(base: str) -> str:
    """Return a name with hyphens in place of characters that SageMaker doesn't allow."""
    return re.sub(_ILLEGAL, "-", base).lstrip("-") or DEFAULT_BASE_NAME


_FIELDS = tuple(JobDefinition.__annotations__)  # dataclasses.fields would make the dataclass at each parse
_APPLICATION = "submit_app"
_SPARK_PARAMETERS = (
    "submit_class",
    "submit_py_files",
    "submit_jars",
    "submit_files",
    "configuration",
    "spark_event_logs_s3_uri",
    "configuration_location",
    "dependency_location",
)
"""The fields of `SparkSubmission`, named here so that only jobs that have one load it."""
DEFINITION_PARAMETERS = (*_FIELDS, _APPLICATION, *_SPARK_PARAMETERS)
"""The parameters that define a job, of processors and operators alike; instead of `spark`, its fields one by one."""

PROCESSOR_PARAMETERS = (
    "role",
    "image",
    "image_uri",
    "instance_count",
    "instance_type",
    "instance_preferences",
    "volume_size_in_gb",
    "volume_kms_key",
    "output_kms_key",
    "max_runtime_in_seconds",
    "base_job_name",
    "env",
    "tags",
    "network_config",
)
"""Those of the parameters that a processor keeps from job to job."""

_WHOLE_NUMBERS = frozenset({"instance_count", "volume_size_in_gb", "max_runtime_in_seconds"})
_FIELD_READERS: dict[str, Callable[[ValueReader, str, Any], Any]] = {
    "app_managed": ValueReader.boolean,
    "enable_network_isolation": ValueReader.boolean,
    "encrypt_inter_container_traffic": ValueReader.boolean,
    "instance_count": ValueReader.whole_number,
    "json": ValueReader.json_text,
    "optional": ValueReader.boolean,
    "security_group_ids": ValueReader.texts,
    "subnets": ValueReader.texts,
}
"""The readers of those fields of definition objects that aren't texts."""
_TWO_FACTOR = "2FA_enabled"


class DefinitionReader(ValueReader):
    """Reads a definition from parameters and collects what is wrong with them."""

    def read(self, parameters: Mapping[str, Any]) -> JobDefinition:
        """Return the definition; a parameter that can't be read is left out and added to `problems`."""
        # A native template or a callable may have made definition objects: make them plain, to read all in one way.
        plain = {name: to_plain(parameters.get(name)) for name in DEFINITION_PARAMETERS}
        values = {name: self._value(name, plain[name]) for name in _FIELDS if name != "spark"}
        if plain[_APPLICATION] is not None or plain["spark"] is not None:
            values |= self._application(plain, values["outputs"] or ())
        given = {name: value for name, value in values.items() if value is not None}
        required = {"role": None, "image_uri": None}
        return JobDefinition(**{**required, **given})

    def _application(self, plain: Mapping[str, Any], outputs: tuple[ProcessingOutput, ...]) -> dict[str, Any]:
        """Return the fields of a Spark application's job; its event logs become an output."""
        from airflow_sm_processing.processing.spark import SparkSubmission, event_logs  # few tasks have one

        given = {name: plain[name] for name in _SPARK_PARAMETERS} | (plain["spark"] or {})
        spark = SparkSubmission(**{name: self._value(name, value) for name, value in given.items()})
        logs = [item for item in event_logs(spark.spark_event_logs_s3_uri) if item not in outputs]
        values = {"spark": spark, "outputs": (*outputs, *logs)}
        app = plain[_APPLICATION]
        return values if app is None else {**values, "code": self._value(_APPLICATION, app), "command": [SPARK_COMMAND]}

    def _value(self, name: str, value: Any) -> Any:
        if value is None or value is LATE:
            return () if value is LATE and name in {"inputs", "outputs"} else value
        if name in _WHOLE_NUMBERS:
            return self.whole_number(name, value)
        reader = self._readers.get(name, DefinitionReader.text)
        return reader(self, name, value)

    def _objects(self, name: str, value: Any, make: Callable[[str, Any], Any]) -> tuple[Any, ...]:
        items = self.structure(name, value, "list")
        return tuple(make(f"{name}[{index}]", item) for index, item in enumerate(items))

    def _inputs(self, name: str, value: Any) -> tuple[ProcessingInput, ...]:
        unknown = ProcessingInput(source=LATE, destination=LATE)
        return self._objects(name, value, lambda path, item: self._build(ProcessingInput, path, item, unknown))

    def _outputs(self, name: str, value: Any) -> tuple[ProcessingOutput, ...]:
        def make(path: str, item: Any) -> ProcessingOutput:
            fields = {"source": item} if _is_one_word(item) else item
            return self._build(ProcessingOutput, path, fields, ProcessingOutput(source=LATE))

        return self._objects(name, value, make)

    def _preferences(self, name: str, value: Any) -> tuple[InstancePreference, ...]:
        from airflow_sm_processing.processing.models import InstancePreference  # few tasks have them

        def make(path: str, item: Any) -> InstancePreference:
            fields = {"instance_type": item} if _is_one_word(item) else item
            return self._build(InstancePreference, path, fields, InstancePreference(LATE))

        return self._objects(name, value, make)

    def _network(self, name: str, value: Any) -> NetworkConfig:
        return self._build(NetworkConfig, name, self.structure(name, value, "dict"), NetworkConfig())

    def _tags(self, name: str, value: Any) -> list[Any]:
        tags = self.structure(name, value, "dict or list")
        if isinstance(tags, dict):
            return [{"Key": self.text(name, key), "Value": self.text(f"{name}[{key!r}]", tags[key])} for key in tags]
        return [self._tag(f"{name}[{index}]", tag) for index, tag in enumerate(tags)]

    def _tag(self, path: str, tag: Any) -> dict[str, Any]:
        fields = {"Key": LATE, "Value": LATE} if tag is LATE else self.structure(path, tag, "dict")
        return {key: self.text(f"{path}.{str(key).lower()}", value) for key, value in fields.items()}

    def _environment(self, name: str, value: Any) -> dict[str, Any]:
        return self.text_map(name, value, secret=True)

    def _git_config(self, name: str, value: Any) -> dict[str, Any] | None:
        items = {
            key: item for key, item in self.structure(name, value, "dict", secret=True).items() if item is not None
        }
        two_factor = items.pop(_TWO_FACTOR, None)
        texts = self.text_map(name, items, secret=True)
        if two_factor is None:
            return texts or None  # the SDK treats an empty one the same way
        return texts | {_TWO_FACTOR: self.boolean(f"{name}[{_TWO_FACTOR!r}]", two_factor)}

    def _configuration(self, name: str, value: Any) -> Any:
        return self.structure(name, value, "dict or list", secret=True)

    def _command(self, name: str, value: Any) -> Any:
        before = len(self.problems)
        words = self.texts(name, value)
        return words if len(self.problems) == before else LATE  # what can't be read doesn't count as missing

    def _requirements(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return value  # the path of a file
        return self.texts(name, value)

    _readers: ClassVar[dict[str, Callable[[DefinitionReader, str, Any], Any]]] = {
        "inputs": _inputs,
        "outputs": _outputs,
        "instance_preferences": _preferences,
        "network_config": _network,
        "tags": _tags,
        "entrypoint": ValueReader.texts,
        "command": _command,
        "arguments": ValueReader.texts,
        "dependencies": ValueReader.texts,
        "submit_py_files": ValueReader.texts,
        "submit_jars": ValueReader.texts,
        "submit_files": ValueReader.texts,
        "configuration": _configuration,
        "requirements": _requirements,
        "git_config": _git_config,
        "is_framework": ValueReader.boolean,
        "env": _environment,
        "experiment_config": ValueReader.text_map,
    }

    def _build(self, cls: type[_T], path: str, item: Any, unknown: _T) -> _T:
        """Return the object with a dict's fields, or `unknown` if they can't be read."""
        if item is LATE:
            return unknown
        fields = self._parsed(path, item, secret=False) if isinstance(item, str) else item
        if not isinstance(fields, dict):
            self.problems.append(Problem(path, item, _rule_of_object(cls, item)))
            return unknown
        fields = own_fields(cls, fields)
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # all are dataclasses
        strange = [key for key in fields if key not in known]
        for key in strange:
            rule = f"isn't a field of {cls.__name__}; its fields are {', '.join(known)}"
            self.problems.append(Problem(f"{path}.{key}", fields[key], rule))
        if strange:
            return unknown
        try:
            return cls(**{key: self._field(f"{path}.{key}", key, value) for key, value in fields.items()})
        except TypeError as error:  # a required field is missing
            self.problems.append(Problem(path, item, str(error)))
            return unknown

    def _field(self, path: str, key: str, value: Any) -> Any:
        if value is None or value is LATE:
            return value
        if key in _NESTED:
            return self._build(_NESTED[key](), path, value, LATE)
        return _FIELD_READERS.get(key, ValueReader.text)(self, path, value)


_REQUEST: dict[str, Any] = {
    "ProcessingJobName": "job_name",
    "RoleArn": "role",
    "AppSpecification": {
        "ImageUri": "image_uri",
        "ContainerEntrypoint": "entrypoint",
        "ContainerArguments": "arguments",
    },
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceCount": "instance_count",
            "InstanceType": "instance_type",
            "InstancePreferences": "instance_preferences",
            "VolumeSizeInGB": "volume_size_in_gb",
            "VolumeKmsKeyId": "volume_kms_key",
        },
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": "max_runtime_in_seconds"},
    "ProcessingInputs": "inputs",
    "ProcessingOutputConfig": {"Outputs": "outputs", "KmsKeyId": "output_kms_key"},
    "Environment": "env",
    "NetworkConfig": "network_config",
    "Tags": "tags",
    "ExperimentConfig": "experiment_config",
}
"""The place of each parameter in a CreateProcessingJob request."""


def request_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the job that a CreateProcessingJob request defines.

    Args:
        request: The request as boto3 takes it, or below `Processing` as the amazon provider takes it. Its values aren't
            checked.

    Raises:
        DefinitionError: It has members that CreateProcessingJob doesn't have.
    """
    nested = request.get("Processing")
    problems: list[Problem] = []
    parameters = dict(_members(nested if isinstance(nested, Mapping) else request, _REQUEST, "", problems))
    if problems:
        raise DefinitionError(problems, subject="the request")
    return parameters


def _members(
    request: Mapping[str, Any], names: Mapping[str, Any], path: str, problems: list[Problem]
) -> Iterator[tuple[str, Any]]:
    for key, value in request.items():
        name, place = names.get(key), f"{path}{key}"
        if name is None:
            rule = f"isn't a member of a CreateProcessingJob request; the members are {', '.join(names)}"
            problems.append(Problem(place, hidden(value), rule))
        elif isinstance(name, str):
            yield name, value
        elif isinstance(value, Mapping):
            yield from _members(value, name, f"{place}.", problems)
        elif value is not None:
            problems.append(Problem(place, hidden(value), f"must be a dict of {', '.join(name)}"))


def _is_one_word(item: Any) -> bool:
    """Return whether an item is just the value of its object's first field, rather than the JSON of an object."""
    return isinstance(item, str) and not item.lstrip().startswith("{")


def _rule_of_object(cls: type[Any], item: Any) -> str:
    rule = rule_of_structure(item, "dict")
    return rule.replace("must be a dict", f"must be a {cls.__name__} or a dict of its fields", 1)


def _dataset_definition() -> type[Any]:
    from airflow_sm_processing.processing.models import DatasetDefinition  # few jobs have one

    return DatasetDefinition


def _redshift_definition() -> type[Any]:
    from airflow_sm_processing.processing.models import RedshiftDatasetDefinition

    return RedshiftDatasetDefinition


def _athena_definition() -> type[Any]:
    from airflow_sm_processing.processing.models import AthenaDatasetDefinition

    return AthenaDatasetDefinition


def _feature_store_output() -> type[Any]:
    from airflow_sm_processing.processing.models import FeatureStoreOutput

    return FeatureStoreOutput


_NESTED: dict[str, Callable[[], type[Any]]] = {
    "s3_input": lambda: S3Input,
    "dataset_definition": _dataset_definition,
    "redshift_dataset_definition": _redshift_definition,
    "athena_dataset_definition": _athena_definition,
    "feature_store_output": _feature_store_output,
}
"""The fields of a definition object that are objects themselves."""
