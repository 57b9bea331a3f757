"""What a processing job writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_sm_processing.processing.datasets import read_dict
from airflow_sm_processing.processing.values import Late, WireObject

__all__ = ["FeatureStoreOutput", "ProcessingOutput"]


@dataclass(frozen=True)
class FeatureStoreOutput(WireObject):
    """A feature group that takes an output's records (SageMaker: ProcessingFeatureStoreOutput)."""

    feature_group_name: str | Late | None = None


@dataclass(frozen=True)
class ProcessingOutput:
    """One output of a processing job (SageMaker: ProcessingOutput)."""

    source: str | Late | None = None
    """Where the script writes: an absolute path under `/opt/ml/processing`, which exists when it starts."""
    destination: str | Late | None = None
    """Where SageMaker uploads it: an S3 URI; `s3://<default bucket>/<prefix>/<job name>/output/<output name>` if not
    given."""
    output_name: str | Late | None = None
    """Unique among the job's outputs; `output-<position>` if not given."""
    s3_upload_mode: str | None = "EndOfJob"
    """`EndOfJob` or `Continuous`."""
    app_managed: bool = False
    """Whether the script uploads the data by itself."""
    feature_store_output: FeatureStoreOutput | None = None

    def __post_init__(self) -> None:
        read_dict(self, "feature_store_output", FeatureStoreOutput)

    def to_boto(self) -> dict[str, Any]:
        """Give the output as CreateProcessingJob takes it."""
        request: dict[str, Any] = {"OutputName": self.output_name, "AppManaged": self.app_managed}
        if self.source is not None:
            request["S3Output"] = {
                "S3Uri": self.destination,
                "LocalPath": self.source,
                "S3UploadMode": self.s3_upload_mode,
            }
        if self.feature_store_output is not None:
            request["FeatureStoreOutput"] = self.feature_store_output.to_boto()
        return request

    @classmethod
    def from_boto(cls, response: dict[str, Any]) -> ProcessingOutput:
        """Read the output from a DescribeProcessingJob response."""
        s3_output = response.get("S3Output", {})
        return cls(
            source=s3_output.get("LocalPath"),
            destination=s3_output.get("S3Uri"),
            output_name=response["OutputName"],
            s3_upload_mode=s3_output.get("S3UploadMode", "EndOfJob"),
            app_managed=response.get("AppManaged", False),
            feature_store_output=FeatureStoreOutput.from_boto(response.get("FeatureStoreOutput")),
        )
