"""Where an input's data comes from: S3, or a query that SageMaker runs first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_sm_processing.processing.values import Late, WireObject

__all__ = ["AthenaDatasetDefinition", "DatasetDefinition", "RedshiftDatasetDefinition", "S3Input"]


@dataclass(frozen=True)
class S3Input(WireObject):
    """Data in S3 and how it reaches the container (SageMaker: ProcessingS3Input)."""

    s3_uri: str | Late | None = None
    """An object, a prefix, or a manifest file."""
    local_path: str | Late | None = None
    """An absolute path under `/opt/ml/processing`; may be absent only if the input is app-managed."""
    s3_data_type: str | None = "S3Prefix"
    """`S3Prefix` or `ManifestFile`."""
    s3_input_mode: str | None = "File"
    """`File` (downloaded before the start) or `Pipe` (streamed)."""
    s3_data_distribution_type: str | None = "FullyReplicated"
    """`FullyReplicated` (all on each instance) or `ShardedByS3Key` (each object on one instance)."""
    s3_compression_type: str | None = None
    """`None` or `Gzip`; Gzip only in Pipe mode."""


@dataclass(frozen=True)
class RedshiftDatasetDefinition(WireObject):
    """The result of an Amazon Redshift query (SageMaker: RedshiftDatasetDefinition)."""

    cluster_id: str | Late | None = None
    database: str | Late | None = None
    db_user: str | Late | None = None
    query_string: str | Late | None = None
    cluster_role_arn: str | Late | None = None
    """The role of the Redshift cluster, with which it writes to `output_s3_uri`."""
    output_s3_uri: str | Late | None = None
    """Where the result is written before the job reads it."""
    kms_key_id: str | Late | None = None
    output_format: str | None = None
    """`PARQUET` or `CSV`."""
    output_compression: str | None = None
    """`None`, `GZIP`, `BZIP2`, `ZSTD` or `SNAPPY`."""


@dataclass(frozen=True)
class AthenaDatasetDefinition(WireObject):
    """The result of an Amazon Athena query (SageMaker: AthenaDatasetDefinition)."""

    catalog: str | Late | None = None
    database: str | Late | None = None
    query_string: str | Late | None = None
    output_s3_uri: str | Late | None = None
    """Where the result is written before the job reads it."""
    work_group: str | Late | None = None
    kms_key_id: str | Late | None = None
    output_format: str | None = None
    """`PARQUET`, `ORC`, `AVRO`, `JSON` or `TEXTFILE`."""
    output_compression: str | None = None
    """`GZIP`, `SNAPPY` or `ZLIB`."""


@dataclass(frozen=True)
class DatasetDefinition(WireObject):
    """A query whose result is an input (SageMaker: DatasetDefinition)."""

    data_distribution_type: str | None = "ShardedByS3Key"
    input_mode: str | None = "File"
    local_path: str | Late | None = None
    """An absolute path under `/opt/ml/processing`; may be absent only if the input is app-managed."""
    redshift_dataset_definition: RedshiftDatasetDefinition | None = None
    athena_dataset_definition: AthenaDatasetDefinition | None = None

    def __post_init__(self) -> None:
        read_dict(self, "redshift_dataset_definition", RedshiftDatasetDefinition)
        read_dict(self, "athena_dataset_definition", AthenaDatasetDefinition)

    @classmethod
    def from_boto(cls, response: dict[str, Any] | None) -> DatasetDefinition | None:
        """Read the definition from a response; None gives None."""
        if response is None:
            return None
        return cls(
            data_distribution_type=response.get("DataDistributionType"),
            input_mode=response.get("InputMode"),
            local_path=response.get("LocalPath"),
            redshift_dataset_definition=RedshiftDatasetDefinition.from_boto(response.get("RedshiftDatasetDefinition")),
            athena_dataset_definition=AthenaDatasetDefinition.from_boto(response.get("AthenaDatasetDefinition")),
        )


def read_dict(owner: object, field: str, cls: type[WireObject]) -> None:
    """Let a nested definition be given as a plain dict, which is how a templated or mapped one arrives."""
    value = getattr(owner, field)
    if isinstance(value, dict):
        object.__setattr__(owner, field, cls(**value))
