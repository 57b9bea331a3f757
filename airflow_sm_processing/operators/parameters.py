"""From an operator's parameters to a job definition.

Parameters are kept as plain dicts and lists, which Airflow templates, resolves, serialises and shows by itself. They
become definition objects twice: when the DAG is parsed, as far as they are known, and when the task runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.assets import with_uris
from airflow_sm_processing.operators.late import LATE
from airflow_sm_processing.operators.truths import TRUTHS
from airflow_sm_processing.processing.definition import JobDefinition
from airflow_sm_processing.processing.inputs import ProcessingInput
from airflow_sm_processing.processing.network import NetworkConfig
from airflow_sm_processing.processing.outputs import ProcessingOutput
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.tags import format_tags
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.processing.instances import InstancePreference

__all__ = ["DEFINITION_PARAMETERS", "DefinitionReader"]

DEFINITION_PARAMETERS = tuple(field.name for field in dataclasses.fields(JobDefinition))
"""The parameters of a task that define its job; each is an attribute of the operator."""

_WHOLE_NUMBERS = frozenset({"instance_count", "volume_size_in_gb", "max_runtime_in_seconds"})
_T = TypeVar("_T")


class DefinitionReader:
    """Reads a definition from plain parameters and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read(self, parameters: Mapping[str, Any]) -> JobDefinition:
        """Give the definition; a parameter that can't be read is left out and noted in `problems`."""
        # A native template, or a callable, may have made definition objects: plain again, they are read like all else.
        values = {name: self._value(name, to_plain(parameters.get(name))) for name in DEFINITION_PARAMETERS}
        given = {name: value for name, value in values.items() if value is not None}
        required = {"role": None, "image_uri": None}
        return JobDefinition(**{**required, **given})

    def _value(self, name: str, value: Any) -> Any:
        if value is None or value is LATE:
            return () if value is LATE and name in {"inputs", "outputs"} else value
        if name in _WHOLE_NUMBERS:
            return self.whole_number(name, value)
        reader = self._readers.get(name)
        return reader(self, name, value) if reader else value

    def _objects(self, name: str, value: Any, make: Callable[[str, Any], Any]) -> tuple[Any, ...]:
        items = self._structure(name, value, list)
        return tuple(make(f"{name}[{index}]", item) for index, item in enumerate(items))

    def _inputs(self, name: str, value: Any) -> tuple[ProcessingInput, ...]:
        unknown = ProcessingInput(source=LATE, destination=LATE)
        return self._objects(
            name, with_uris(value), lambda path, item: self._build(ProcessingInput, path, item, unknown)
        )

    def _outputs(self, name: str, value: Any) -> tuple[ProcessingOutput, ...]:
        def make(path: str, item: Any) -> ProcessingOutput:
            fields = {"source": item} if isinstance(item, str) else item
            return self._build(ProcessingOutput, path, fields, ProcessingOutput(source=LATE))

        return self._objects(name, value, make)

    def _preferences(self, name: str, value: Any) -> tuple[InstancePreference, ...]:
        from airflow_sm_processing.processing.instances import InstancePreference  # few tasks have them

        def make(path: str, item: Any) -> InstancePreference:
            fields = {"instance_type": item} if isinstance(item, str) else item
            return self._build(InstancePreference, path, fields, InstancePreference(LATE))

        return self._objects(name, value, make)

    def _network(self, name: str, value: Any) -> NetworkConfig:
        return self._build(NetworkConfig, name, self._structure(name, value, dict), NetworkConfig())

    def _tags(self, name: str, value: Any) -> Any:
        return format_tags(self._structure(name, value, (dict, list)))

    def _strings(self, name: str, value: Any) -> list[Any]:
        return [_text(item) for item in self._structure(name, value, list)]

    def _string_map(self, name: str, value: Any) -> dict[str, Any]:
        return {key: _text(item) for key, item in self._structure(name, value, dict).items()}

    _readers: ClassVar[dict[str, Callable[[DefinitionReader, str, Any], Any]]] = {
        "inputs": _inputs,
        "outputs": _outputs,
        "instance_preferences": _preferences,
        "network_config": _network,
        "tags": _tags,
        "entrypoint": _strings,
        "command": _strings,
        "arguments": _strings,
        "env": _string_map,
        "experiment_config": _string_map,
    }

    def _build(self, cls: type[_T], path: str, item: Any, unknown: _T) -> _T:
        """Give the object that a dict has the fields of, or `unknown` where that can't be said."""
        if item is LATE:
            return unknown
        if not isinstance(item, dict):
            self.problems.append(Problem(path, item, f"must be a {cls.__name__} or a dict of its fields"))
            return unknown
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # they all are dataclasses
        strange = [key for key in item if key not in known]
        for key in strange:
            rule = f"is no field of {cls.__name__}; its fields are {', '.join(known)}"
            self.problems.append(Problem(f"{path}.{key}", item[key], rule))
        if strange:
            return unknown
        try:
            return cls(**{key: self._field(f"{path}.{key}", key, value) for key, value in item.items()})
        except TypeError as error:  # of a definition inside this one
            self.problems.append(Problem(path, item, str(error)))
            return unknown

    def _field(self, path: str, key: str, value: Any) -> Any:
        if key == "instance_count":
            return self.whole_number(path, value)
        if key in {"app_managed", "enable_network_isolation", "encrypt_inter_container_traffic"}:
            return self.boolean(path, value)
        return value

    def _structure(self, name: str, value: Any, kind: type | tuple[type, ...]) -> Any:
        """Give a list or dict that may have arrived as a template's result: as JSON, or as a tuple."""
        if isinstance(value, str):
            with contextlib.suppress(ValueError):  # what isn't JSON is refused below, as it is
                value = json.loads(value)
        if isinstance(value, tuple):
            value = list(value)
        if isinstance(value, kind):
            return value
        wanted = " or ".join(item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,)))
        shown = hidden(value) if name == "env" else value
        self.problems.append(Problem(name, shown, f"must be a {wanted}"))
        return [] if wanted == "list" else {}

    def whole_number(self, name: str, value: Any) -> Any:
        """Give the number that a template wrote as a string; LATE, which the rules pass over, if it is none."""
        if isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                self.problems.append(Problem(name, value, "must be a whole number"))
                return LATE
        return value

    def boolean(self, name: str, value: Any) -> Any:
        """Give the truth value that a template wrote as a string."""
        if isinstance(value, str):
            if value.lower() not in TRUTHS:
                self.problems.append(Problem(name, value, "must be true or false"))
            return TRUTHS.get(value.lower())
        return value


def _text(value: Any) -> Any:
    """Give a number as the string that a container gets; other kinds are left to the validation."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
