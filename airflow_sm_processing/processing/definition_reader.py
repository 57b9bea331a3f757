"""Build a job definition from what a user wrote, alike for the SDK-like classes and Airflow's operators."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.definition import JobDefinition
from airflow_sm_processing.processing.models import NetworkConfig, ProcessingInput, ProcessingOutput, S3Input
from airflow_sm_processing.processing.values import LATE, ValueReader, rule_of_structure, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.processing.models import InstancePreference


__all__ = ["DEFINITION_PARAMETERS", "DefinitionReader"]


DEFINITION_PARAMETERS = tuple(field.name for field in dataclasses.fields(JobDefinition))
"""The parameters that define a job, whoever takes them."""

_WHOLE_NUMBERS = frozenset({"instance_count", "volume_size_in_gb", "max_runtime_in_seconds"})
_BOOLEANS = frozenset({"app_managed", "optional", "enable_network_isolation", "encrypt_inter_container_traffic"})
_LISTS = frozenset({"security_group_ids", "subnets"})
_T = TypeVar("_T")


class DefinitionReader(ValueReader):
    """Reads a definition from parameters and collects what is wrong with them."""

    def read(self, parameters: Mapping[str, Any]) -> JobDefinition:
        """Return the definition; a parameter that can't be read is left out and noted in `problems`."""
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

    _readers: ClassVar[dict[str, Callable[[DefinitionReader, str, Any], Any]]] = {
        "inputs": _inputs,
        "outputs": _outputs,
        "instance_preferences": _preferences,
        "network_config": _network,
        "tags": _tags,
        "entrypoint": ValueReader.texts,
        "command": ValueReader.texts,
        "arguments": ValueReader.texts,
        "env": _environment,
        "experiment_config": ValueReader.text_map,
    }

    def _build(self, cls: type[_T], path: str, item: Any, unknown: _T) -> _T:
        """Return the object that a dict has the fields of, or `unknown` where that can't be said."""
        if item is LATE:
            return unknown
        fields = self._parsed(path, item, secret=False) if isinstance(item, str) else item
        if not isinstance(fields, dict):
            self.problems.append(Problem(path, item, _rule_of_object(cls, item)))
            return unknown
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # they all are dataclasses
        strange = [key for key in fields if key not in known]
        for key in strange:
            rule = f"is no field of {cls.__name__}; its fields are {', '.join(known)}"
            self.problems.append(Problem(f"{path}.{key}", fields[key], rule))
        if strange:
            return unknown
        try:
            return cls(**{key: self._field(f"{path}.{key}", key, value) for key, value in fields.items()})
        except TypeError as error:  # a field that an object must have
            self.problems.append(Problem(path, item, str(error)))
            return unknown

    def _field(self, path: str, key: str, value: Any) -> Any:
        if value is None or value is LATE:
            return value
        if key == "instance_count":
            return self.whole_number(path, value)
        if key in _BOOLEANS:
            return self.boolean(path, value)
        if key in _LISTS:
            return self.texts(path, value)
        if key in _NESTED:
            return self._build(_NESTED[key](), path, value, LATE)
        return self.text(path, value)


def _is_one_word(item: Any) -> bool:
    """Return whether an item is its object's first field alone, and not the JSON of an object."""
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
