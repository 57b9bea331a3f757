"""What a processing job reads."""

from __future__ import annotations

from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.s3_input import S3Input
from airflow_sm_processing.processing.values import Value, as_boto, read_dict, value_object

if TYPE_CHECKING:
    from airflow_sm_processing.processing.datasets import DatasetDefinition
    from airflow_sm_processing.processing.values import Late

__all__ = ["ProcessingInput"]


@value_object
class ProcessingInput(Value):
    """One input of a processing job (SageMaker: ProcessingInput).

    Give `source` and `destination`, or an `s3_input`, or a `dataset_definition`.
    """

    source: str | Late | None = None
    """An S3 URI, or a local file or folder (a path or `file://`), which is uploaded when the job is submitted to
    `s3://<default bucket>/<prefix>/<job name>/input/<input name>`."""
    destination: str | Late | None = None
    """Where the container finds it: an absolute path under `/opt/ml/processing`."""
    input_name: str | Late | None = None
    """Unique among the job's inputs; `input-<position>` if not given."""
    s3_data_type: str | None = "S3Prefix"
    """`S3Prefix` or `ManifestFile`."""
    s3_input_mode: str | None = "File"
    """`File` (downloaded before the start) or `Pipe` (streamed)."""
    s3_data_distribution_type: str | None = "FullyReplicated"
    """`FullyReplicated` (all on each instance) or `ShardedByS3Key` (each object on one instance)."""
    s3_compression_type: str | None = "None"
    """`None` or `Gzip`; Gzip only in Pipe mode."""
    s3_input: S3Input | Late | None = None
    """The same in SageMaker's own form; wins over `source`, `destination` and the `s3_…` parameters."""
    dataset_definition: DatasetDefinition | Late | None = None
    """An Athena or Redshift query whose result is the input."""
    app_managed: bool = False
    """Whether the script fetches the data by itself; SageMaker then only hands on the description."""
    _: KW_ONLY
    optional: bool | Late = False
    """Whether the input is left out where its source is None: in a task, where the upstream task was skipped."""

    def __post_init__(self) -> None:
        read_dict(self, "s3_input", lambda fields: S3Input(**fields))
        read_dict(self, "dataset_definition", _dataset_definition)
        if isinstance(self.s3_input, S3Input) and not self.s3_input.is_implied:
            self._set(**_mirrored(self.s3_input))
        elif self.source is not None and (self.s3_input is None or isinstance(self.s3_input, S3Input)):
            self._set(s3_input=self._implied_s3_input())

    @property
    def implied_fields(self) -> frozenset[str]:
        """The fields that only repeat what others say."""
        if not isinstance(self.s3_input, S3Input):
            return frozenset()
        if self.source is not None and self.s3_input == self._implied_s3_input():
            return frozenset({"s3_input"})
        return frozenset(_mirrored(self.s3_input))

    @property
    def is_left_out(self) -> bool:
        """Whether the input is optional, and there is nothing to read."""
        return self.optional is True and self.dataset_definition is None and not self.source

    def at(self, s3_uri: str) -> ProcessingInput:
        """Give the same input with its data at another place in S3."""
        if not isinstance(self.s3_input, S3Input):
            return self
        return replace(self, s3_input=replace(self.s3_input, s3_uri=s3_uri))

    def to_boto(self) -> dict[str, Any]:
        """Give the input as CreateProcessingJob takes it."""
        request: dict[str, Any] = {"InputName": self.input_name, "AppManaged": self.app_managed}
        if self.s3_input is not None:
            request["S3Input"] = as_boto(self.s3_input)
        if self.dataset_definition is not None:
            request["DatasetDefinition"] = as_boto(self.dataset_definition)
        return request

    @classmethod
    def from_boto(cls, response: dict[str, Any]) -> ProcessingInput:
        """Read the input from a DescribeProcessingJob response."""
        return cls(
            input_name=response["InputName"],
            s3_input=S3Input.from_boto(response.get("S3Input")),
            dataset_definition=_described_dataset(response.get("DatasetDefinition")),
            app_managed=response.get("AppManaged", False),
        )

    @property
    def container_path(self) -> str | None:
        """Where the container finds the input, whichever way it was defined."""
        if self.dataset_definition is not None:
            path: str | None = getattr(self.dataset_definition, "local_path", None)  # one that isn't known yet has none
            return path
        return self.destination

    def _implied_s3_input(self) -> S3Input:
        return S3Input(
            s3_uri=self.source,
            local_path=self.destination,
            s3_data_type=self.s3_data_type,
            s3_input_mode=self.s3_input_mode,
            s3_data_distribution_type=self.s3_data_distribution_type,
            s3_compression_type=self.s3_compression_type,
        ).as_implied()

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)


def _dataset_definition(fields: dict[str, Any]) -> DatasetDefinition:
    from airflow_sm_processing.processing.datasets import DatasetDefinition  # few jobs have one

    return DatasetDefinition(**fields)


def _described_dataset(response: dict[str, Any] | None) -> DatasetDefinition | None:
    from airflow_sm_processing.processing.datasets import DatasetDefinition

    return DatasetDefinition.from_boto(response)


def _mirrored(s3_input: S3Input) -> dict[str, Any]:
    return {
        "source": s3_input.s3_uri,
        "destination": s3_input.local_path,
        "s3_data_type": s3_input.s3_data_type,
        "s3_input_mode": s3_input.s3_input_mode,
        "s3_data_distribution_type": s3_input.s3_data_distribution_type,
        "s3_compression_type": s3_input.s3_compression_type,
    }
