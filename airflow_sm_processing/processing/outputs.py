"""What a processing job writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.values import Value, as_boto, read_dict, value_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_sm_processing.processing.feature_store import FeatureStoreOutput
    from airflow_sm_processing.processing.values import Late

__all__ = ["ProcessingOutput", "output_uris"]


@value_object
class ProcessingOutput(Value):
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
        read_dict(self, "feature_store_output", _feature_store_output)

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
            request["FeatureStoreOutput"] = as_boto(self.feature_store_output)
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
            feature_store_output=_described_feature_store(response.get("FeatureStoreOutput")),
        )


def _feature_store_output(fields: dict[str, Any]) -> FeatureStoreOutput:
    from airflow_sm_processing.processing.feature_store import FeatureStoreOutput  # few jobs have one

    return FeatureStoreOutput(**fields)


def _described_feature_store(response: dict[str, Any] | None) -> FeatureStoreOutput | None:
    from airflow_sm_processing.processing.feature_store import FeatureStoreOutput

    return FeatureStoreOutput.from_boto(response)


def output_uris(outputs: Iterable[ProcessingOutput]) -> dict[str, str]:
    """Return the S3 URI of each output that has one, by output name.

    It ends in no slash, whatever the destination ends in: people join paths to it.
    """
    return {str(item.output_name): item.destination.rstrip("/") for item in outputs if item.destination}
