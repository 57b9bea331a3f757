"""Amazon SageMaker Processing on boto3: the SageMaker SDK v2's vocabulary, without Airflow.

Names are loaded on first use, so that a DAG file that only defines inputs and outputs doesn't load the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription, JobStatus
    from airflow_sm_processing.processing.frameworks import (
        FrameworkProcessor,
        HuggingFaceProcessor,
        MXNetProcessor,
        PySparkProcessor,
        PyTorchProcessor,
        SKLearnProcessor,
        SparkJarProcessor,
        TensorFlowProcessor,
        XGBoostProcessor,
    )
    from airflow_sm_processing.processing.job import ProcessingJob
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
    from airflow_sm_processing.processing.processor import Processor, ScriptProcessor
    from airflow_sm_processing.processing.s3 import S3Downloader, S3Uploader
    from airflow_sm_processing.processing.session import Session, get_execution_role
    from airflow_sm_processing.processing.waiter import JobLogs, LogLine, WaitSettings

_MODULES = {
    "AthenaDatasetDefinition": "models",
    "DatasetDefinition": "models",
    "FeatureStoreOutput": "models",
    "FrameworkProcessor": "frameworks",
    "HuggingFaceProcessor": "frameworks",
    "InstancePreference": "models",
    "JobDefinition": "definition",
    "JobDescription": "description",
    "JobLogs": "waiter",
    "JobStatus": "description",
    "LogLine": "log_events",
    "MXNetProcessor": "frameworks",
    "NetworkConfig": "models",
    "ProcessingInput": "models",
    "ProcessingJob": "job",
    "ProcessingOutput": "models",
    "Processor": "processor",
    "PySparkProcessor": "frameworks",
    "PyTorchProcessor": "frameworks",
    "RedshiftDatasetDefinition": "models",
    "S3Downloader": "s3",
    "S3Input": "models",
    "S3Uploader": "s3",
    "SKLearnProcessor": "frameworks",
    "ScriptProcessor": "processor",
    "Session": "session",
    "SparkJarProcessor": "frameworks",
    "TensorFlowProcessor": "frameworks",
    "WaitSettings": "waiter",
    "XGBoostProcessor": "frameworks",
    "get_execution_role": "session",
}

_SDK_MODULES = {
    "image_uris": "airflow_sm_processing.image_uris",
    "network": f"{__name__}.models",
    "processing": __name__,
    "s3": f"{__name__}.s3",
    "session": f"{__name__}.session",
}
"""The SDK's modules that code refers to by name, for `import airflow_sm_processing.processing as sagemaker`."""

__all__ = [
    "AthenaDatasetDefinition",
    "DatasetDefinition",
    "FeatureStoreOutput",
    "FrameworkProcessor",
    "HuggingFaceProcessor",
    "InstancePreference",
    "JobDefinition",
    "JobDescription",
    "JobLogs",
    "JobStatus",
    "LogLine",
    "MXNetProcessor",
    "NetworkConfig",
    "ProcessingInput",
    "ProcessingJob",
    "ProcessingOutput",
    "Processor",
    "PySparkProcessor",
    "PyTorchProcessor",
    "RedshiftDatasetDefinition",
    "S3Downloader",
    "S3Input",
    "S3Uploader",
    "SKLearnProcessor",
    "ScriptProcessor",
    "Session",
    "SparkJarProcessor",
    "TensorFlowProcessor",
    "WaitSettings",
    "XGBoostProcessor",
    "get_execution_role",
]


def __getattr__(name: str) -> Any:
    if name in _SDK_MODULES:
        return import_module(_SDK_MODULES[name])
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
