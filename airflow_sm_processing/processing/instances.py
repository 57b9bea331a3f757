"""Which instances a job may run on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.values import Value, value_object

if TYPE_CHECKING:
    from airflow_sm_processing.processing.values import Late

__all__ = ["InstancePreference"]


@value_object
class InstancePreference(Value):
    """One candidate of `instance_preferences` (SageMaker: ProcessingInstancePreference)."""

    instance_type: str | Late
    instance_count: int | Late | None = None
    """Instances if this type is the one; given for each candidate, or for none and as the job's `instance_count`."""

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
