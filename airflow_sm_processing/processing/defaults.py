"""An organisation's defaults for processing jobs, from the SageMaker SDK's `config.yaml` files and similar documents.

https://sagemaker.readthedocs.io/en/stable/overview.html#configuring-and-using-defaults-with-the-sagemaker-python-sdk
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.aws_calls import LargeObjectError, aws_call, content_of
from airflow_sm_processing.processing.models import NetworkConfig, S3Location, is_s3_uri
from airflow_sm_processing.processing.secrets import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["JobDefaults", "Source", "config_files", "read_defaults"]

log = logging.getLogger(__name__)

_ADMIN_OVERRIDE = "SAGEMAKER_ADMIN_CONFIG_OVERRIDE"
_USER_OVERRIDE = "SAGEMAKER_USER_CONFIG_OVERRIDE"
_FILE_NAME = "config.yaml"
_SECTION = ("SageMaker", "ProcessingJob")
_ENVIRONMENT = ("Environment",)
_MAX_BYTES = 1024 * 1024  # per document; a page of settings has a few thousand
_NETWORK = {
    ("EnableNetworkIsolation",): "enable_network_isolation",
    ("EnableInterContainerTrafficEncryption",): "encrypt_inter_container_traffic",
    ("VpcConfig", "SecurityGroupIds"): "security_group_ids",
    ("VpcConfig", "Subnets"): "subnets",
}
_KINDS: dict[tuple[str, ...], type[Any]] = {
    ("RoleArn",): str,
    _ENVIRONMENT: dict,
    ("Tags",): list,
    ("ProcessingInputs",): list,
    ("NetworkConfig", "EnableNetworkIsolation"): bool,
    ("NetworkConfig", "EnableInterContainerTrafficEncryption"): bool,
    ("NetworkConfig", "VpcConfig", "SecurityGroupIds"): list,
    ("NetworkConfig", "VpcConfig", "Subnets"): list,
    ("ProcessingOutputConfig", "KmsKeyId"): str,
    ("ProcessingResources", "ClusterConfig", "VolumeKmsKeyId"): str,
}
"""The types of the SDK's schema, by path in the section; the schema allows no other values."""
_SECTIONS = {path[:length] for path in _KINDS for length in range(1, len(path))}
_WORDS = {str: "a string", dict: "a mapping of strings", list: "a list", bool: "true or false"}


class Source(NamedTuple):
    """A source of defaults."""

    name: str
    """Its name in messages: the path of a file, an S3 URI, or `connection aws_default`."""
    document: Mapping[str, Any] | None = None
    """Its content; None to read the file or the S3 object of that name."""
    may_be_absent: bool = False
    """Whether the file may be missing."""


class _Default(NamedTuple):
    value: Any
    origin: str


def config_files() -> list[Source]:
    """Return the SDK's own two files: the administrator's, then the user's, which takes precedence."""
    from platformdirs import site_config_dir, user_config_dir

    places = ((_ADMIN_OVERRIDE, site_config_dir("sagemaker")), (_USER_OVERRIDE, user_config_dir("sagemaker")))
    return [
        Source(os.environ[variable]) if variable in os.environ else Source(f"{folder}/{_FILE_NAME}", may_be_absent=True)
        for variable, folder in places
    ]


def read_defaults(sources: Iterable[Source], s3_client: Callable[[], S3Client] | None) -> JobDefaults:
    """Read all sources; each value of a later source overrides those of earlier ones.

    Args:
        sources: The files, S3 objects and documents, such as `config_files()`.
        s3_client: Returns the client for those in S3; if None, these are left out, and the log names them.

    Raises:
        DefinitionError: A source is missing, can't be read, or has something that the SDK's schema doesn't allow.
        ServiceError: S3 refused or couldn't be reached.
    """
    found: dict[tuple[str, ...], _Default] = {}
    for source in sources:
        if source.document is None and is_s3_uri(source.name) and s3_client is None:
            log.warning("The defaults in %s aren't read here.", source.name)
            continue
        document = _read(source, s3_client) if source.document is None else source.document
        values = dict(_values(document, source.name))
        if values.pop(("ProcessingInputs",), None):
            log.warning("ProcessingInputs in %s isn't applied: each task names all that its inputs need.", source.name)
        earlier = found.get(_ENVIRONMENT)
        if earlier is not None and _ENVIRONMENT in values:
            values[_ENVIRONMENT] = {**earlier.value, **values[_ENVIRONMENT]}
        found |= {path: _Default(value, source.name) for path, value in values.items()}
    return JobDefaults(found)


class JobDefaults:
    """The defaults of one connection, and the source of each."""

    def __init__(self, found: Mapping[tuple[str, ...], _Default]) -> None:
        self._found = found

    def apply(self, definition: JobDefinition) -> tuple[JobDefinition, dict[str, str]]:
        """Return the definition with defaults for what its author didn't set, and the source of each such parameter.

        Tags are added to those of the definition, which take precedence; any other default applies only if the
        definition has no value.
        """
        origins: dict[str, str] = {}
        changes = dict(self._single_values(definition, origins))
        network = self._network(definition.network_config, origins)
        if network is not None:
            changes["network_config"] = network
        tags = self._more_tags(definition.tags or ())
        if tags:
            changes["tags"] = [*(definition.tags or ()), *tags]
            origins["tags"] = self._found["Tags",].origin
        return (dataclasses.replace(definition, **changes) if changes else definition), origins

    def _single_values(self, definition: JobDefinition, origins: dict[str, str]) -> Iterator[tuple[str, Any]]:
        paths = {
            "role": ("RoleArn",),
            "env": ("Environment",),
            "volume_kms_key": ("ProcessingResources", "ClusterConfig", "VolumeKmsKeyId"),
            "output_kms_key": ("ProcessingOutputConfig", "KmsKeyId"),
        }
        for name, path in paths.items():
            default = self._found.get(path)
            if default is not None and getattr(definition, name) is None:
                origins[name] = default.origin
                yield name, default.value

    def _network(self, given: NetworkConfig | None, origins: dict[str, str]) -> NetworkConfig | None:
        network = given or NetworkConfig()
        changes = {}
        for path, name in _NETWORK.items():
            default = self._found.get(("NetworkConfig", *path))
            if default is not None and getattr(network, name) is None:
                changes[name] = default.value
                origins[f"network_config.{name}"] = default.origin
        return dataclasses.replace(network, **changes) if changes else None

    def _more_tags(self, given: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        default = self._found.get(("Tags",))
        keys = {tag.get("Key") for tag in given}
        return [] if default is None else [tag for tag in default.value if tag["Key"] not in keys]


def _read(source: Source, s3_client: Callable[[], S3Client] | None) -> Any:
    import yaml

    text = _object_text(source.name, s3_client) if is_s3_uri(source.name) else _file_text(source)
    if text is None:
        return {}
    try:
        return yaml.safe_load(text) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f", line {line + 1}"
        raise _wrong(source.name, f"isn't YAML{where}") from None  # the error may quote values


def _file_text(source: Source) -> bytes | None:
    path = Path(source.name).expanduser()
    path = path / _FILE_NAME if path.is_dir() else path
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if source.may_be_absent:
            return None
        raise _wrong(source.name, "is no file: write one, or unset what names it") from None
    except OSError as error:
        raise _wrong(source.name, f"can't be read: {error.strerror}") from error
    if len(text) > _MAX_BYTES:
        raise _too_long(source.name)
    return text


def _object_text(uri: str, s3_client: Callable[[], S3Client] | None) -> bytes:
    if s3_client is None:  # the caller leaves those out
        raise AssertionError(uri)
    place = S3Location.parse(uri)
    key = place.key if place.key.endswith((".yaml", ".yml")) else f"{place.key.rstrip('/')}/{_FILE_NAME}".lstrip("/")
    file_uri = f"s3://{place.bucket}/{key}"
    with aws_call("GetObject", file_uri):
        client = s3_client()
        found = client.get_object(Bucket=place.bucket, Key=key)
    try:
        return content_of(client, found, file_uri, max_bytes=_MAX_BYTES)
    except LargeObjectError:
        raise _too_long(uri) from None


def _too_long(name: str) -> DefinitionError:
    return _wrong(name, f"is longer than {_MAX_BYTES} bytes")


def _values(document: Any, name: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values of the section about processing jobs, each with its path."""
    section: Any = document
    for length, key in enumerate(_SECTION):
        if not isinstance(section, Mapping):
            raise _wrong(f"{name}: {'.'.join(_SECTION[:length])}" if length else name, "must be a mapping")
        section = section.get(key)
        if section is None:
            return
    problems: list[Problem] = []
    yield from _flat(section, (), name, problems)
    if problems:
        raise DefinitionError(problems, subject="SageMaker's defaults")


def _flat(
    value: Any, path: tuple[str, ...], name: str, problems: list[Problem]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path in _KINDS:
        rule = _rule_broken(value, path)
        if rule is None:
            yield path, value
        else:
            problems.append(_problem(name, rule, (*_SECTION, *path), value))
    elif not isinstance(value, Mapping):
        problems.append(_problem(name, "must be a mapping", (*_SECTION, *path), value))
    else:
        for key, item in value.items():
            inner = (*path, str(key))
            if inner in _KINDS or inner in _SECTIONS:
                yield from _flat(item, inner, name, problems)
            else:
                known = sorted(other[len(path)] for other in _KINDS.keys() | _SECTIONS if other[:-1] == path)
                problems.append(_problem(name, f"isn't known: there are {', '.join(known)}", (*_SECTION, *inner), item))


def _rule_broken(value: Any, path: tuple[str, ...]) -> str | None:
    kind: Any = _KINDS[path]
    if not isinstance(value, kind):
        return f"must be {_WORDS[kind]}"
    if kind is dict and not all(isinstance(text, str) for item in value.items() for text in item):
        return "must map strings to strings: quote numbers and true or false"
    if path == ("Tags",) and not all(_is_tag(tag) for tag in value):
        return "must be a list of {Key: …, Value: …}"
    if path[:1] == ("NetworkConfig",) and kind is list and not all(isinstance(item, str) for item in value):
        return "must be a list of strings"
    return None


def _is_tag(tag: Any) -> bool:
    return (
        isinstance(tag, Mapping)
        and set(tag) == {"Key", "Value"}
        and all(isinstance(text, str) for text in tag.values())
    )


def _problem(name: str, rule: str, path: Sequence[str], value: object) -> Problem:
    return Problem(f"{name}: {'.'.join(path)}", hidden(value), rule)  # it may be a secret


def _wrong(name: str, rule: str) -> DefinitionError:
    return DefinitionError([Problem(name, ..., rule)], subject="SageMaker's defaults")
