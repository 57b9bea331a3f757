"""Amazon SageMaker Processing on boto3: the SageMaker SDK v2's vocabulary, without Airflow."""

from airflow_sm_processing.processing.datasets import (
    AthenaDatasetDefinition,
    DatasetDefinition,
    RedshiftDatasetDefinition,
    S3Input,
)
from airflow_sm_processing.processing.definition import InstancePreference, JobDefinition
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.processing.inputs import ProcessingInput
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.logs import JobLogs, LogLine
from airflow_sm_processing.processing.network import NetworkConfig
from airflow_sm_processing.processing.outputs import FeatureStoreOutput, ProcessingOutput
from airflow_sm_processing.processing.processor import Processor, ScriptProcessor
from airflow_sm_processing.processing.session import Session
from airflow_sm_processing.processing.status import JobStatus
from airflow_sm_processing.processing.waiting import WaitSettings

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
