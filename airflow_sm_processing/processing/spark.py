"""The options of `smspark-submit` for a Spark application, and the files that they name.

The layout is that of the SDK's Spark processors: the local files of one option are uploaded below one prefix, and
become one input of the container. The option has the URIs of files that are already in S3, then the input's path.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.exceptions import Problem, UploadError
from airflow_sm_processing.processing.models import ProcessingOutput, is_s3_uri, names_no_bucket
from airflow_sm_processing.processing.values import LATE, Value, local_path, no_such_path, value_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from airflow_sm_processing.processing.uploads.files import Content, GeneratedFile, Listing
    from airflow_sm_processing.processing.values import Late

__all__ = ["SparkFiles", "SparkSubmission", "event_logs"]

_EVENT_LOGS_PATH = "/opt/ml/processing/spark-events/"
_INPUTS_PATH = "/opt/ml/processing/input"
_OPTIONS = {"submit_py_files": "py-files", "submit_jars": "jars", "submit_files": "files"}
"""The option of smspark-submit for each list of files; the input has the option's name."""
_CONFIGURATION_INPUT, _CONFIGURATION_FILE = "conf", "configuration.json"
_REMOTE = ("s3://", "s3a://")
_GUIDE = "https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-configure-apps.html"
_REQUIRED_KEYS, _KEYS = ("Classification", "Properties"), ("Classification", "Properties", "Configurations")
_CLASSIFICATIONS = (
    "core-site",
    "hadoop-env",
    "hadoop-log4j",
    "hive-env",
    "hive-log4j",
    "hive-exec-log4j",
    "hive-site",
    "spark-defaults",
    "spark-env",
    "spark-log4j",
    "spark-hive-site",
    "spark-metrics",
    "yarn-env",
    "yarn-site",
    "export",
)
"""The classifications that AWS's images know."""


@value_object
class SparkSubmission(Value):
    """The options and files for a Spark application, under the SDK's names."""

    submit_class: str | Late | None = None
    """The main class of an application in a jar."""
    submit_py_files: Sequence[str] | Late | None = None
    """Local or S3 files for `--py-files`."""
    submit_jars: Sequence[str] | Late | None = None
    """Local or S3 files for `--jars`."""
    submit_files: Sequence[str] | Late | None = None
    """Local or S3 files for `--files`."""
    configuration: Mapping[str, Any] | Sequence[Any] | Late | None = None
    """EMR's classifications, for Hadoop, Spark and Hive."""
    spark_event_logs_s3_uri: str | Late | None = None
    """The S3 URI that Spark's event logs are written to while the application runs."""
    configuration_location: str | None = None
    """The S3 prefix for the configuration, instead of the default bucket's."""
    dependency_location: str | None = None
    """The S3 prefix for local files, instead of the default bucket's."""

    # The command

    def options(self) -> Iterator[tuple[str, Any]]:
        """Yield the words between `smspark-submit` and the application, each with the parameter that it comes from."""
        if self.submit_class:
            yield from (("submit_class", "--class"), ("submit_class", self.submit_class))
        for parameter, option in _OPTIONS.items():
            items = self._items(parameter)
            if items:
                yield parameter, f"--{option}"
                yield parameter, self._joined(items, option)
        if self.spark_event_logs_s3_uri:
            yield "spark_event_logs_s3_uri", "--local-spark-event-logs-dir"
            yield "spark_event_logs_s3_uri", _EVENT_LOGS_PATH

    def _joined(self, items: Sequence[Any], option: str) -> Any:
        if LATE in items:
            return LATE
        paths = [f"{_INPUTS_PATH}/{option}"] if any(map(_is_local, items)) else []
        return ",".join([*(item for item in items if not _is_local(item)), *paths])

    def _items(self, parameter: str) -> Sequence[Any]:
        items = getattr(self, parameter)
        return () if items is LATE or items is None else items

    # The inputs

    def input_names(self) -> list[str]:
        """Return the names of the inputs for files and the configuration."""
        names = [option for parameter, option in _OPTIONS.items() if self._local(parameter)]
        has_configuration = self.configuration and self.configuration is not LATE
        return [*names, _CONFIGURATION_INPUT] if has_configuration else names

    def packages(self) -> dict[str, SparkFiles | GeneratedFile]:
        """Return the uploads, by the names of their inputs."""
        from airflow_sm_processing.processing.uploads.files import GeneratedFile  # not needed to parse a DAG file

        packages: dict[str, SparkFiles | GeneratedFile] = {
            option: SparkFiles(option, local, self.dependency_location)
            for parameter, option in _OPTIONS.items()
            if (local := self._local(parameter))
        }
        if _CONFIGURATION_INPUT in self.input_names():
            file = GeneratedFile(_CONFIGURATION_FILE, self._configuration_text(), self.configuration_location)
            packages[_CONFIGURATION_INPUT] = file
        return packages

    def _local(self, parameter: str) -> tuple[str, ...]:
        return tuple(item for item in self._items(parameter) if _is_local(item) and local_path(item) is not None)

    def _configuration_text(self) -> str:
        try:
            return json.dumps(self.configuration)
        except (TypeError, ValueError):
            return ""  # it isn't known yet, or refused: see `problems`

    def below(self, absolute: Callable[[str], str]) -> SparkSubmission:
        """Return the same options and files with relative paths made absolute."""
        lists: dict[str, Any] = {name: [*map(absolute, items)] for name in _OPTIONS if (items := self._items(name))}
        return replace(self, **lists)

    # Checks

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, without looking at files."""
        if self.submit_class == "":
            yield Problem("submit_class", self.submit_class, "is required: the application's main class")
        for parameter in _OPTIONS:
            for index, item in enumerate(self._items(parameter)):
                yield from _place_problems(f"{parameter}[{index}]", item)
        for name in ("spark_event_logs_s3_uri", "configuration_location", "dependency_location"):
            uri = getattr(self, name)
            if isinstance(uri, str) and uri and not _names_bucket(uri):
                yield Problem(name, uri, "must be an S3 URI, such as s3://bucket/folder")
        yield from _configuration_problems("configuration", self.configuration)

    def file_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the local files."""
        are_there = True
        for parameter in _OPTIONS:
            for index, item in enumerate(self._items(parameter)):
                path = local_path(item) if _is_local(item) else None
                if path is not None and not path.exists():
                    are_there = False
                    yield Problem(f"{parameter}[{index}]", item, no_such_path(path))
        packages = self.packages() if are_there else {}
        for parameter, option in _OPTIONS.items():
            package = packages.get(option)
            try:
                if isinstance(package, SparkFiles):
                    package.listing(warn=False)
            except UploadError as error:
                yield Problem(parameter, list(self._items(parameter)), str(error))


def event_logs(s3_uri: Any) -> Iterator[ProcessingOutput]:
    """Yield the output for event logs, if they go to S3."""
    if s3_uri is LATE or (isinstance(s3_uri, str) and _names_bucket(s3_uri)):
        yield ProcessingOutput(source=_EVENT_LOGS_PATH, destination=s3_uri, s3_upload_mode="Continuous")


def _is_local(item: object) -> bool:
    return isinstance(item, str) and not item.lower().startswith(_REMOTE)


def _names_bucket(uri: str) -> bool:
    return is_s3_uri(uri) and not names_no_bucket(uri)


def _place_problems(name: str, item: object) -> Iterator[Problem]:
    if not isinstance(item, str):
        return  # not known yet, or refused already
    if not item:
        yield Problem(name, item, "is empty: set a local file or folder, or an S3 URI")
    elif not _is_local(item):
        if not item.partition("://")[2].partition("/")[0]:
            yield Problem(name, item, "has no bucket")
        elif "," in item:
            yield Problem(name, item, "has a comma, at which Spark would take it apart: rename the object")
    elif local_path(item) is None:
        yield Problem(name, item, "must be a local file or folder, or an S3 URI")


def _configuration_problems(name: str, value: Any) -> Iterator[Problem]:
    """Yield what isn't valid in EMR's JSON, without showing values, which may include keys and passwords."""
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _configuration_problems(f"{name}[{index}]", item)
    elif isinstance(value, dict):
        yield from _classification_problems(name, value)
    elif value is not None and value is not LATE:
        yield Problem(name, None, f"must be a dict with Classification and Properties, or a list of such: {_GUIDE}")


def _classification_problems(name: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    missing = [key for key in _REQUIRED_KEYS if key not in value]
    if missing:
        yield Problem(name, [*value], f"lacks {' and '.join(missing)}: {_GUIDE}")
    for key in value:
        if key not in _KEYS:
            yield Problem(f"{name}.{key}", None, f"isn't a key of a classification; the keys are {', '.join(_KEYS)}")
    classification = value.get("Classification")
    if isinstance(classification, str) and classification not in _CLASSIFICATIONS:
        rule = f"must be one of {', '.join(_CLASSIFICATIONS)}"
        yield Problem(f"{name}.Classification", classification, rule)
    properties = value.get("Properties")
    if not isinstance(properties, dict) and "Properties" in value and properties is not LATE:
        yield Problem(f"{name}.Properties", None, "must be a dict")
    else:
        yield from _json_problems(name, properties)
    yield from _configuration_problems(f"{name}.Configurations", value.get("Configurations"))


def _json_problems(name: str, properties: Any) -> Iterator[Problem]:
    for key, item in (properties or {}).items() if properties is not LATE else ():
        try:
            json.dumps(None if item is LATE else item)
        except (TypeError, ValueError) as error:
            yield Problem(f"{name}.Properties[{key!r}]", None, f"isn't valid in JSON: {error}")


@dataclass(frozen=True)
class SparkFiles:
    """The local files of one option, for the upload: files by their names, folders with their files below them."""

    name: str
    """The name of the input and the option."""
    paths: tuple[str, ...]
    location: str | None = None
    """The S3 prefix for the files, instead of the default bucket's."""
    file_name: ClassVar[str] = ""
    is_made: ClassVar[bool] = False

    @property
    def path(self) -> Path:
        """The folder of the first file, after which the upload is named."""
        return _path(self.paths[0]).absolute().parent

    def listing(self, *, warn: bool = True) -> Listing:
        """Return the files with their names in the input.

        Raises:
            UploadError: Something can't be read, or two files have the same name.
        """
        from airflow_sm_processing.processing.uploads.files import list_together

        paths = [_path(text) for text in self.paths]
        places = [(path, path.name or path.resolve().name) for path in paths]
        return list_together(places, f"Two files would have one place in the input {self.name}", warn=warn)

    def content(self, *context: str) -> Content:
        """Read the files.

        Raises:
            UploadError: Something can't be read.
        """
        from airflow_sm_processing.processing.uploads.files import read_files

        return read_files(self.listing(), *context)

    @contextmanager
    def written(self, content: Content | None = None) -> Iterator[tuple[Path, Content | None]]:
        """Yield the folder that the upload is named after, and the files' content; nothing is copied.

        Raises:
            UploadError: Something can't be read.
        """
        yield self.path, content or self.content()


def _path(text: str) -> Path:
    path = local_path(text)
    if path is None:
        raise UploadError(f"Can't upload {text}: it isn't a local path.")
    return path
