"""Data in S3 as SageMaker describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.processing.values import WireObject, value_object

if TYPE_CHECKING:
    from airflow_sm_processing.processing.values import Late

__all__ = ["S3Input"]


@value_object
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

    @property
    def is_implied(self) -> bool:
        """Whether it only repeats what an input's other parameters say, and gives way to them."""
        return "_implied" in self.__dict__

    def as_implied(self) -> S3Input:
        """Mark this object as one that only repeats."""
        self.__dict__["_implied"] = True  # no field: an input made with `dataclasses.replace` must not keep the mark
        return self
