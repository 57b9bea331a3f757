"""Amazon SageMaker Processing for Apache Airflow.

Everything that a DAG author needs is importable from here, and is loaded when it is first used: a DAG file pays for
what it names, and for neither boto3 nor the amazon provider.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.exceptions import (
        DefinitionError,
        JobEndedError,
        JobFailedError,
        JobStoppedError,
        ProcessingError,
    )
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.operators.processing import ProcessingOperator
    from airflow_sm_processing.operators.script_processing import ScriptProcessingOperator
    from airflow_sm_processing.processing.datasets import (
        AthenaDatasetDefinition,
        DatasetDefinition,
        RedshiftDatasetDefinition,
    )
    from airflow_sm_processing.processing.feature_store import FeatureStoreOutput
    from airflow_sm_processing.processing.inputs import ProcessingInput
    from airflow_sm_processing.processing.instances import InstancePreference
    from airflow_sm_processing.processing.network import NetworkConfig
    from airflow_sm_processing.processing.outputs import ProcessingOutput
    from airflow_sm_processing.processing.s3_input import S3Input
    from airflow_sm_processing.processing.status import JobStatus
    from airflow_sm_processing.sensors.processing import ProcessingJobSensor
    from airflow_sm_processing.triggers.completions import CompletedJobsTrigger
    from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

__version__ = "0.1.0"

_MODULES = {
    "AthenaDatasetDefinition": "processing.datasets",
    "CompletedJobsTrigger": "triggers.completions",
    "DatasetDefinition": "processing.datasets",
    "DefinitionError": "exceptions",
    "FeatureStoreOutput": "processing.feature_store",
    "InstancePreference": "processing.instances",
    "JobEndedError": "exceptions",
    "JobFailedError": "exceptions",
    "JobStatus": "processing.status",
    "JobStoppedError": "exceptions",
    "NetworkConfig": "processing.network",
    "ProcessingError": "exceptions",
    "ProcessingHook": "hooks.processing",
    "ProcessingInput": "processing.inputs",
    "ProcessingJobSensor": "sensors.processing",
    "ProcessingJobTrigger": "triggers.processing",
    "ProcessingOperator": "operators.processing",
    "ProcessingOutput": "processing.outputs",
    "RedshiftDatasetDefinition": "processing.datasets",
    "S3Input": "processing.s3_input",
    "ScriptProcessingOperator": "operators.script_processing",
}

__all__ = [
    "AthenaDatasetDefinition",
    "CompletedJobsTrigger",
    "DatasetDefinition",
    "DefinitionError",
    "FeatureStoreOutput",
    "InstancePreference",
    "JobEndedError",
    "JobFailedError",
    "JobStatus",
    "JobStoppedError",
    "NetworkConfig",
    "ProcessingError",
    "ProcessingHook",
    "ProcessingInput",
    "ProcessingJobSensor",
    "ProcessingJobTrigger",
    "ProcessingOperator",
    "ProcessingOutput",
    "RedshiftDatasetDefinition",
    "S3Input",
    "ScriptProcessingOperator",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
