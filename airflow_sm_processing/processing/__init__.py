"""Amazon SageMaker Processing on boto3: the SageMaker SDK v2's vocabulary, without Airflow.

Names are loaded when they are first used: a DAG file that only defines inputs and outputs doesn't pay for the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.processing.datasets import (
        AthenaDatasetDefinition,
        DatasetDefinition,
        RedshiftDatasetDefinition,
    )
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.feature_store import FeatureStoreOutput
    from airflow_sm_processing.processing.inputs import ProcessingInput
    from airflow_sm_processing.processing.instances import InstancePreference
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.logs import JobLogs, LogLine
    from airflow_sm_processing.processing.network import NetworkConfig
    from airflow_sm_processing.processing.outputs import ProcessingOutput
    from airflow_sm_processing.processing.processor import Processor, ScriptProcessor
    from airflow_sm_processing.processing.s3_input import S3Input
    from airflow_sm_processing.processing.session import Session
    from airflow_sm_processing.processing.status import JobStatus
    from airflow_sm_processing.processing.waiting import WaitSettings

_MODULES = {
    "AthenaDatasetDefinition": "datasets",
    "DatasetDefinition": "datasets",
    "FeatureStoreOutput": "feature_store",
    "InstancePreference": "instances",
    "JobDefinition": "definition",
    "JobDescription": "description",
    "JobLogs": "logs",
    "JobStatus": "status",
    "LogLine": "logs",
    "NetworkConfig": "network",
    "ProcessingInput": "inputs",
    "ProcessingJob": "job",
    "ProcessingOutput": "outputs",
    "Processor": "processor",
    "RedshiftDatasetDefinition": "datasets",
    "S3Input": "s3_input",
    "ScriptProcessor": "processor",
    "Session": "session",
    "WaitSettings": "waiting",
}

__all__ = [
    "AthenaDatasetDefinition",
    "DatasetDefinition",
    "FeatureStoreOutput",
    "InstancePreference",
    "JobDefinition",
    "JobDescription",
    "JobLogs",
    "JobStatus",
    "LogLine",
    "NetworkConfig",
    "ProcessingInput",
    "ProcessingJob",
    "ProcessingOutput",
    "Processor",
    "RedshiftDatasetDefinition",
    "S3Input",
    "ScriptProcessor",
    "Session",
    "WaitSettings",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
