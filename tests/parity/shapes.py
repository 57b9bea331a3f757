"""Read the SDK's own objects with the package: runs in an environment of the SDK's, `shapes.py v2` or `shapes.py v3`.

Prints a JSON list: each object's name, the part of the request that the SDK makes of it, and the one that we make.
"""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PLACE = "/opt/ml/processing"
MODES = list(itertools.product(("S3Prefix", "ManifestFile"), ("File", "Pipe"), ("FullyReplicated", "ShardedByS3Key")))
ATHENA = {
    "catalog": "AwsDataCatalog",
    "database": "sales",
    "query_string": "SELECT 1",
    "output_s3_uri": "s3://bucket/athena/",
    "work_group": "primary",
    "output_format": "PARQUET",
    "output_compression": "SNAPPY",
}
REDSHIFT = {
    "cluster_id": "cluster",
    "database": "sales",
    "db_user": "user",
    "query_string": "SELECT 1",
    "cluster_role_arn": "arn:aws:iam::123456789012:role/Redshift",
    "output_s3_uri": "s3://bucket/redshift/",
    "output_format": "CSV",
}
Part = tuple[str, str, Any, Any]
"""A name, the parameter that takes the object, the object, and the SDK's own request of it."""


def v2_parts() -> Iterator[Part]:
    """Yield objects of the SDK v2."""
    processing: Any = importlib.import_module("sagemaker.processing")
    datasets: Any = importlib.import_module("sagemaker.dataset_definition.inputs")
    network: Any = importlib.import_module("sagemaker.network")
    for position, (data, mode, spread) in enumerate(MODES):
        fields = {"s3_data_type": data, "s3_input_mode": mode, "s3_data_distribution_type": spread}
        place = (f"s3://bucket/{position}/", f"{PLACE}/{position}")
        plain = processing.ProcessingInput(*place, f"plain-{position}", **fields)
        nested = processing.ProcessingInput(
            input_name=f"nested-{position}",
            s3_input=datasets.S3Input(s3_uri=place[0], local_path=place[1], **fields),
        )
        for item in (plain, nested):
            yield item.input_name, "inputs", item, item._to_request_dict()  # what it sends
    athena = datasets.AthenaDatasetDefinition(**ATHENA)
    redshift = datasets.RedshiftDatasetDefinition(**REDSHIFT)
    for name, definition in (
        ("athena", datasets.DatasetDefinition(local_path=f"{PLACE}/a", athena_dataset_definition=athena)),
        ("redshift", datasets.DatasetDefinition(local_path=f"{PLACE}/r", redshift_dataset_definition=redshift)),
    ):
        item = processing.ProcessingInput(input_name=name, app_managed=True, dataset_definition=definition)
        yield name, "inputs", item, item._to_request_dict()
    for upload_mode, managed in itertools.product(("EndOfJob", "Continuous"), (True, False)):
        name = f"{upload_mode}-{managed}"
        item = processing.ProcessingOutput(f"{PLACE}/out", "s3://bucket/out", name, upload_mode, managed)
        yield name, "outputs", item, item._to_request_dict()
    feature_group = processing.FeatureStoreOutput(feature_group_name="group")
    item = processing.ProcessingOutput(output_name="features", app_managed=True, feature_store_output=feature_group)
    yield "features", "outputs", item, item._to_request_dict()
    for isolated, groups, subnets, encrypted in itertools.product(
        (None, True), (None, ["sg-1"]), (None, ["subnet-1"]), (None, True, False)
    ):
        config = network.NetworkConfig(isolated, groups, subnets, encrypted)
        yield f"network {vars(config)}", "network_config", config, config._to_request_dict()


def v3_parts() -> Iterator[Part]:
    """Yield objects of the SDK v3, whose shapes are SageMaker's."""
    shapes: Any = importlib.import_module("sagemaker.core.shapes")
    processing: Any = importlib.import_module("sagemaker.core.processing")
    network: Any = importlib.import_module("sagemaker.core.network")
    for position, (data, mode, spread) in enumerate(MODES):
        s3_input = shapes.ProcessingS3Input(
            s3_uri=f"s3://bucket/{position}/",
            local_path=f"{PLACE}/{position}",
            s3_data_type=data,
            s3_input_mode=mode,
            s3_data_distribution_type=spread,
            s3_compression_type="None",
        )
        item = shapes.ProcessingInput(input_name=f"input-{position}", s3_input=s3_input, app_managed=bool(position % 2))
        yield item.input_name, "inputs", item, processing._processing_input_to_request_dict(item)
    for upload_mode, managed in itertools.product(("EndOfJob", "Continuous"), (True, False)):
        s3_output = shapes.ProcessingS3Output(
            s3_uri="s3://bucket/out", local_path=f"{PLACE}/out", s3_upload_mode=upload_mode
        )
        name = f"{upload_mode}-{managed}"
        item = shapes.ProcessingOutput(output_name=name, s3_output=s3_output, app_managed=managed)
        yield name, "outputs", item, processing._processing_output_to_request_dict(item)
    for isolated, encrypted in itertools.product((True, False), (True, False)):
        vpc = {"security_group_ids": ["sg-1"], "subnets": ["subnet-1", "subnet-2"]}
        wire = {
            "EnableNetworkIsolation": isolated,
            "EnableInterContainerTrafficEncryption": encrypted,
            "VpcConfig": {"SecurityGroupIds": vpc["security_group_ids"], "Subnets": vpc["subnets"]},
        }
        shape = shapes.NetworkConfig(
            enable_network_isolation=isolated,
            enable_inter_container_traffic_encryption=encrypted,
            vpc_config=shapes.VpcConfig(**vpc),
        )
        yield f"shape {isolated} {encrypted}", "network_config", shape, wire
        config = network.NetworkConfig(isolated, encrypt_inter_container_traffic=encrypted, **vpc)
        yield f"network {isolated} {encrypted}", "network_config", config, config._to_request_dict()


def ours(parameter: str, value: Any) -> Any:
    """Return the part of the request that the package makes of an object."""
    from airflow_sm_processing.processing.definition import DefinitionReader

    reader = DefinitionReader()
    read = getattr(reader.read({parameter: value if parameter == "network_config" else [value]}), parameter)
    if reader.problems:
        return [f"{problem.parameter} {problem.rule}" for problem in reader.problems]
    return (read if parameter == "network_config" else read[0]).to_boto()


def main() -> None:
    """Print what the named version's objects become."""
    version: ModuleType | str = sys.argv[1]
    parts = v2_parts() if version == "v2" else v3_parts()
    print(json.dumps([(name, request, ours(parameter, value)) for name, parameter, value, request in parts]))


if __name__ == "__main__":
    main()
