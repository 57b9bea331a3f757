"""Amazon SageMaker Processing for Apache Airflow.

Everything that a DAG author needs can be imported from here. Names are loaded on first use, so that a DAG file loads
only what it names, and neither boto3 nor the amazon provider.
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
    from airflow_sm_processing.operators.processing import (
        ProcessingOperator,
        ScriptProcessingOperator,
        SparkProcessingOperator,
    )
    from airflow_sm_processing.operators.training_job import channel, model_artifacts
    from airflow_sm_processing.processing.description import JobStatus
    from airflow_sm_processing.processing.models import (
        AthenaDatasetDefinition,
        DatasetDefinition,
        FeatureStoreOutput,
        InstancePreference,
        NetworkConfig,
        ProcessingInput,
        ProcessingOutput,
        RedshiftDatasetDefinition,
        S3Input,
    )
    from airflow_sm_processing.sensors.processing import ProcessingJobSensor
    from airflow_sm_processing.triggers.completions import CompletedJobsTrigger
    from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

__version__ = "0.1.0"

_MODULES = {
    "AthenaDatasetDefinition": "processing.models",
    "CompletedJobsTrigger": "triggers.completions",
    "DatasetDefinition": "processing.models",
    "DefinitionError": "exceptions",
    "FeatureStoreOutput": "processing.models",
    "InstancePreference": "processing.models",
    "JobEndedError": "exceptions",
    "JobFailedError": "exceptions",
    "JobStatus": "processing.description",
    "JobStoppedError": "exceptions",
    "NetworkConfig": "processing.models",
    "ProcessingError": "exceptions",
    "ProcessingHook": "hooks.processing",
    "ProcessingInput": "processing.models",
    "ProcessingJobSensor": "sensors.processing",
    "ProcessingJobTrigger": "triggers.processing",
    "ProcessingOperator": "operators.processing",
    "ProcessingOutput": "processing.models",
    "RedshiftDatasetDefinition": "processing.models",
    "S3Input": "processing.models",
    "ScriptProcessingOperator": "operators.processing",
    "SparkProcessingOperator": "operators.processing",
    "channel": "operators.training_job",
    "model_artifacts": "operators.training_job",
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
    "SparkProcessingOperator",
    "channel",
    "model_artifacts",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
