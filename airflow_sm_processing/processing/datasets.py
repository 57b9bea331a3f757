"""Inputs that are the results of queries, which SageMaker runs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.values import WireObject, read_dict, value_object

if TYPE_CHECKING:
    from airflow_sm_processing.processing.values import Late

__all__ = ["AthenaDatasetDefinition", "DatasetDefinition", "RedshiftDatasetDefinition"]


@value_object
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


@value_object
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


@value_object
class DatasetDefinition(WireObject):
    """A query whose result is an input (SageMaker: DatasetDefinition)."""

    data_distribution_type: str | None = "ShardedByS3Key"
    input_mode: str | None = "File"
    local_path: str | Late | None = None
    """An absolute path under `/opt/ml/processing`; may be absent only if the input is app-managed."""
    redshift_dataset_definition: RedshiftDatasetDefinition | None = None
    athena_dataset_definition: AthenaDatasetDefinition | None = None

    def __post_init__(self) -> None:
        read_dict(self, "redshift_dataset_definition", lambda fields: RedshiftDatasetDefinition(**fields))
        read_dict(self, "athena_dataset_definition", lambda fields: AthenaDatasetDefinition(**fields))

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
