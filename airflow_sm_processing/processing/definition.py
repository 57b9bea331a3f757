"""A job as its author defines it: local paths still local, names still missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.processing.values import Value, value_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_sm_processing.processing.inputs import ProcessingInput
    from airflow_sm_processing.processing.instances import InstancePreference
    from airflow_sm_processing.processing.network import NetworkConfig
    from airflow_sm_processing.processing.outputs import ProcessingOutput
    from airflow_sm_processing.processing.values import Late

__all__ = ["JobDefinition"]


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
