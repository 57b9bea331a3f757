"""The parts of a job definition: inputs, outputs, datasets, instances, network and tags."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow_sm_processing.processing.values import (
    Value,
    WireObject,
    as_boto,
    as_list,
    as_text,
    camel_case,
    read_dict,
    value_object,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_sm_processing.processing.values import Late

__all__ = [
    "CONSOLE_HOSTS",
    "AthenaDatasetDefinition",
    "DatasetDefinition",
    "FeatureStoreOutput",
    "InstancePreference",
    "NetworkConfig",
    "ProcessingInput",
    "ProcessingOutput",
    "RedshiftDatasetDefinition",
    "S3Input",
    "S3Location",
    "as_folder",
    "below",
    "folder_link",
    "format_tags",
    "is_aws",
    "is_s3_uri",
    "job_links",
    "join",
    "names_no_bucket",
    "output_uris",
    "own_fields",
    "own_names",
]


SCHEME = "s3://"


@value_object
class S3Location(Value):
    """A bucket and a key, or a bucket and a prefix."""

    bucket: str
    key: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.bucket, self.key))

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Split `s3://bucket/key`."""
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        return cls(bucket, key)


def is_s3_uri(text: str) -> bool:
    """Return whether the text is an S3 URI rather than a local path."""
    return text[: len(SCHEME)].lower() == SCHEME


def names_no_bucket(value: object) -> bool:
    """Return whether a value is an S3 URI without a bucket."""
    return isinstance(value, str) and is_s3_uri(value) and not value[len(SCHEME) :].partition("/")[0]


def as_folder(uri: str) -> str:
    """Return the URI with a slash at its end, so that as a prefix it doesn't match the folder's neighbours."""
    return uri if uri.endswith("/") else f"{uri}/"


def below(uri: str, path: str) -> str:
    """Return the URI of a path below another URI."""
    bucket, key = S3Location.parse(uri)
    return join(bucket, key, path)


def join(bucket: str, *parts: str | None) -> str:
    """Return `s3://bucket/part/part` without empty, doubled or trailing slashes, as the SDK's s3_path_join does."""
    segments = [segment for part in parts if part for segment in part.split("/") if segment]
    return SCHEME + "/".join([bucket, *segments])


LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
CONSOLE_HOSTS = frozenset(_DOMAINS.values())
"""The hosts of all partitions' consoles."""
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def is_aws(endpoint_url: str) -> bool:
    """Return whether an endpoint is AWS's own, so that AWS's console shows the jobs created there."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_HOSTS)


def job_links(job_name: str, *, region: str, partition: str, output_uris: Iterable[str] = ()) -> dict[str, str]:
    """Return the console pages of a job, of its logs and of its outputs' common prefix in S3, by title."""
    domain = _DOMAINS.get(partition, _DOMAINS["aws"])
    name = quote(job_name, safe="")
    log_filter = _fragment(f"{job_name}/")
    links = {
        "Job": f"https://{domain}/sagemaker/home?region={region}#/processing-jobs/{name}",
        "Logs": f"https://{domain}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{_fragment(LOG_GROUP)}"
        f"$3FlogStreamNameFilter$3D{log_filter}",
    }
    outputs = _common_prefix([S3Location.parse(uri) for uri in output_uris])
    if outputs is not None:
        links["Outputs"] = folder_link(f"s3://{outputs.bucket}/{outputs.key}", region=region, partition=partition)
    return links


def folder_link(uri: str, *, region: str, partition: str) -> str:
    """Return the console page of an S3 location's folder."""
    domain = _DOMAINS.get(partition, _DOMAINS["aws"])
    bucket, prefix = (quote(part, safe="") for part in S3Location.parse(uri))
    return f"https://{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}"


def _common_prefix(places: list[S3Location]) -> S3Location | None:
    """Return the common folder of the locations in the first one's bucket, since a page can't show two buckets."""
    if not places:
        return None
    bucket = places[0].bucket
    folders = [place.key.rstrip("/").split("/") for place in places if place.bucket == bucket]
    common = "/".join(posixpath.commonprefix(folders))
    return S3Location(bucket, common and f"{common}/")


def _fragment(text: str) -> str:
    """Return a text in the CloudWatch console's encoding: percent-encoded twice, with `$` for the outer percent."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")


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
        """Whether this object only repeats the input's other parameters, which then override it."""
        return "_implied" in self.__dict__

    def as_implied(self) -> S3Input:
        """Mark this object as one that only repeats."""
        self.__dict__["_implied"] = True  # not a field, so that `dataclasses.replace` doesn't copy the mark
        return self


@value_object
class RedshiftDatasetDefinition(WireObject):
    """The result of an Amazon Redshift query (SageMaker: RedshiftDatasetDefinition)."""

    cluster_id: str | Late | None = None
    database: str | Late | None = None
    db_user: str | Late | None = None
    query_string: str | Late | None = None
    cluster_role_arn: str | Late | None = None
    """The role with which the Redshift cluster writes to `output_s3_uri`."""
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
        """Read the definition from a response; None returns None."""
        if response is None:
            return None
        return cls(
            data_distribution_type=response.get("DataDistributionType"),
            input_mode=response.get("InputMode"),
            local_path=response.get("LocalPath"),
            redshift_dataset_definition=RedshiftDatasetDefinition.from_boto(response.get("RedshiftDatasetDefinition")),
            athena_dataset_definition=AthenaDatasetDefinition.from_boto(response.get("AthenaDatasetDefinition")),
        )


@value_object
class ProcessingInput(Value):
    """One input of a processing job (SageMaker: ProcessingInput).

    Set `source` and `destination`, or an `s3_input`, or a `dataset_definition`, or the data itself: see `from_json`.
    """

    source: str | Late | None = None
    """An S3 URI, or a local file or folder (a path or `file://`), which is uploaded when the job is submitted to
    `s3://<default bucket>/<prefix>/<job name>/input/<input name>`."""
    destination: str | Late | None = None
    """The path in the container: an absolute path under `/opt/ml/processing`."""
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
    """The same in SageMaker's own form; overrides `source`, `destination` and the `s3_…` parameters."""
    dataset_definition: DatasetDefinition | Late | None = None
    """An Athena or Redshift query whose result is the input."""
    app_managed: bool = False
    """Whether the script fetches the data by itself; SageMaker then only passes on the description."""
    _: KW_ONLY
    optional: bool | Late = False
    """Whether the input is left out if its source is None: in a task, if the upstream task was skipped."""
    json: Any = None
    """The content of the file `file_name` in `destination`, instead of a source: plain data, or JSON text."""
    file_name: str | Late = "input.json"
    """The name of the file for `json`."""

    @classmethod
    def from_json(
        cls,
        data: Any,
        destination: str | Late,
        input_name: str | Late | None = None,
        file_name: str | Late = "input.json",
    ) -> ProcessingInput:
        """Return an input for settings or other small data, which the job reads as a JSON file.

        Args:
            data: Dicts, lists, text, numbers, booleans and None; a string must be JSON text. In a task, templates in
                it are rendered, and references to other tasks' outputs are resolved.
            destination: The file's folder in the container.
            input_name: The input's name, as for every input.
            file_name: The file's name.
        """
        return cls(destination=destination, input_name=input_name, json=data, file_name=file_name)

    def __post_init__(self) -> None:
        read_dict(self, "s3_input", lambda fields: S3Input(**fields))
        read_dict(self, "dataset_definition", _dataset_definition)
        if isinstance(self.s3_input, S3Input) and not self.s3_input.is_implied:
            self._set(**_mirrored(self.s3_input))
        elif self.source is not None and (self.s3_input is None or isinstance(self.s3_input, S3Input)):
            self._set(s3_input=self._implied_s3_input())

    def _repeated(self) -> frozenset[str]:
        return self.implied_fields

    @property
    def implied_fields(self) -> frozenset[str]:
        """The names of fields that only repeat others."""
        if not isinstance(self.s3_input, S3Input):
            return frozenset()
        if self.source is not None and self.s3_input == self._implied_s3_input():
            return frozenset({"s3_input"})
        return frozenset(_mirrored(self.s3_input))

    @property
    def is_left_out(self) -> bool:
        """Whether the input is optional, and there is nothing to read."""
        return self.optional is True and self.dataset_definition is None and self.json is None and not self.source

    def at(self, s3_uri: str) -> ProcessingInput:
        """Return the same input with its data at another S3 URI."""
        if not isinstance(self.s3_input, S3Input):
            return self
        return replace(self, s3_input=replace(self.s3_input, s3_uri=s3_uri))

    def to_boto(self) -> dict[str, Any]:
        """Return the input as CreateProcessingJob takes it."""
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
        """The input's path in the container, for each kind of input."""
        if self.dataset_definition is not None:
            path: str | None = getattr(self.dataset_definition, "local_path", None)  # it may not be known yet
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

    return DatasetDefinition(**fields)


def _described_dataset(response: dict[str, Any] | None) -> DatasetDefinition | None:

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


@value_object
class FeatureStoreOutput(WireObject):
    """A feature group that an output's records are put in (SageMaker: ProcessingFeatureStoreOutput)."""

    feature_group_name: str | Late | None = None


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
        """Return the output as CreateProcessingJob takes it."""
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

    return FeatureStoreOutput(**fields)


def _described_feature_store(response: dict[str, Any] | None) -> FeatureStoreOutput | None:

    return FeatureStoreOutput.from_boto(response)


def output_uris(outputs: Iterable[ProcessingOutput]) -> dict[str, str]:
    """Return the S3 URI of each output that has one, by output name.

    It never ends with a slash, even if the destination does, because paths are appended to it.
    """
    return {str(item.output_name): item.destination.rstrip("/") for item in outputs if item.destination}


@value_object
class InstancePreference(Value):
    """One candidate in `instance_preferences` (SageMaker: ProcessingInstancePreference)."""

    instance_type: str | Late
    instance_count: int | Late | None = None
    """The number of instances of this type; set it for every candidate, or for none and set the job's instead."""

    @classmethod
    def parse(cls, value: str | Mapping[str, Any] | InstancePreference) -> InstancePreference:
        """Return a preference from an instance type, a dict of its fields, or the object itself."""
        if isinstance(value, InstancePreference):
            return value
        return cls(**value) if isinstance(value, Mapping) else cls(value)

    def to_boto(self) -> dict[str, Any]:
        """Return the candidate as CreateProcessingJob takes it."""
        count = {} if self.instance_count is None else {"InstanceCount": self.instance_count}
        return {"InstanceType": self.instance_type, **count}


@value_object
class NetworkConfig(Value):
    """Network settings of a processing job (SageMaker: NetworkConfig)."""

    enable_network_isolation: bool | None = None
    """Whether the containers can't make any network calls; False if not given."""
    security_group_ids: Sequence[str] | None = None
    """With `subnets`: the VPC that the containers are attached to."""
    subnets: Sequence[str] | None = None
    encrypt_inter_container_traffic: bool | None = None

    def to_boto(self) -> dict[str, Any]:
        """Return the settings as CreateProcessingJob takes them; an empty list counts as none."""
        request: dict[str, Any] = {"EnableNetworkIsolation": bool(self.enable_network_isolation)}
        if self.encrypt_inter_container_traffic is not None:
            request["EnableInterContainerTrafficEncryption"] = self.encrypt_inter_container_traffic
        vpc = {"SecurityGroupIds": self.security_group_ids, "Subnets": self.subnets}
        if given := {name: as_list(ids) for name, ids in vpc.items() if ids}:
            request["VpcConfig"] = given
        return request


_NAMES_IN_REQUESTS: dict[type[Any], dict[str, str]] = {
    NetworkConfig: {
        "EnableInterContainerTrafficEncryption": "encrypt_inter_container_traffic",
        "enable_inter_container_traffic_encryption": "encrypt_inter_container_traffic",
    },
}
"""The names in requests of the fields that aren't SageMaker's names in snake_case."""
_PARTS_IN_REQUESTS: dict[type[Any], tuple[tuple[str, str], dict[str, str]]] = {
    ProcessingOutput: (
        ("S3Output", "s3_output"),
        {"s3_uri": "destination", "local_path": "source", "s3_upload_mode": "s3_upload_mode"},
    ),
    NetworkConfig: (("VpcConfig", "vpc_config"), {"security_group_ids": "security_group_ids", "subnets": "subnets"}),
}
"""The parts of a request that have no object here: their names, and their members' fields here."""


def own_fields(cls: type[Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object's fields under this package's names, from those of SageMaker's requests or the SDK v3.

    A name that isn't known is kept, so that it is refused later; so is a field that is given under both names.

    Args:
        cls: The object's class in this module.
        fields: The object's own fields; those of nested objects aren't renamed.
    """
    field_names = list(cls.__dataclass_fields__)
    names = {camel_case(name): name for name in field_names} | _NAMES_IN_REQUESTS.get(cls, {})
    part_names, members = _PARTS_IN_REQUESTS.get(cls, ((), {}))
    members = members | {camel_case(name): field for name, field in members.items()}
    pairs: list[tuple[str, str, Any]] = []
    for key, value in fields.items():
        if key in part_names and isinstance(value, Mapping):
            places = {name: f"{key}.{name}" for name in value}
            pairs += [(places[name], members.get(name, places[name]), item) for name, item in value.items()]
        elif not (key in part_names and value is None):
            pairs.append((key, names.get(key, key), value))
    if all(key == name and key in fields for key, name, _ in pairs) and len(pairs) == len(fields):
        return fields
    # A member missing in such a part has SageMaker's own default, not the SDK's.
    absent = dict.fromkeys(field_names) if issubclass(cls, WireObject) else {}
    return absent | _renamed(pairs)


def _renamed(pairs: Iterable[tuple[str, str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, name, value in sorted(pairs, key=lambda pair: pair[0] != pair[1]):  # this package's names first
        fields[key if name in fields else name] = value
    return fields


def own_names(name: str, items: Any) -> Any:
    """Return plain `inputs` or `outputs`, according to `name`, with this package's field names, also in nested objects.

    Anything but a list of dicts is returned unchanged.
    """
    if not isinstance(items, (list, tuple)):
        return items
    read = _own_input if name == "inputs" else _own_output
    own = [read(item) if isinstance(item, Mapping) else item for item in items]
    return own if any(new is not old for new, old in zip(own, items, strict=True)) else items


def _own_input(item: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = own_fields(ProcessingInput, item)
    nested = fields.get("s3_input")
    own = own_fields(S3Input, nested) if isinstance(nested, Mapping) else nested
    return fields if own is nested else {**fields, "s3_input": own}


def _own_output(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return own_fields(ProcessingOutput, item)


def format_tags(tags: Any) -> Any:
    """Return `[{"Key": …, "Value": …}]` for a dict, with plain values as strings; a list of such dicts is copied.

    Anything else, such as JSON text, is left to the definition's reader.
    """
    if isinstance(tags, Mapping):
        return [{"Key": _text(key), "Value": _text(value)} for key, value in tags.items()]
    return tags if tags is None or isinstance(tags, str) else list(tags)


def _text(value: object) -> object:
    try:
        return as_text(value)
    except ValueError:
        return value
