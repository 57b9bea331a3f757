"""A job as its author defines it: local paths still local, names still missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.processing.inputs import ProcessingInput
    from airflow_sm_processing.processing.network import NetworkConfig
    from airflow_sm_processing.processing.outputs import ProcessingOutput
    from airflow_sm_processing.processing.values import Late

__all__ = ["InstancePreference", "JobDefinition"]


@dataclass(frozen=True)
class InstancePreference:
    """One candidate of `instance_preferences` (SageMaker: ProcessingInstancePreference)."""

    instance_type: str | Late
    instance_count: int | Late | None = None
    """Instances if this type is the one; SageMaker's default is 1."""

    @classmethod
    def parse(cls, value: str | Mapping[str, Any] | InstancePreference) -> InstancePreference:
        """Take an instance type, a dict of the fields, or the object itself."""
        if isinstance(value, InstancePreference):
            return value
        return cls(**value) if isinstance(value, Mapping) else cls(value)

    def to_boto(self) -> dict[str, Any]:
        """Give the candidate as CreateProcessingJob takes it."""
        count = {} if self.instance_count is None else {"InstanceCount": self.instance_count}
        return {"InstanceType": self.instance_type, **count}


@dataclass(frozen=True, kw_only=True)
class JobDefinition:
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
