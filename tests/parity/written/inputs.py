"""Inputs that are in S3 already, or come from a query."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case, Described, athena, dataset_definition, processing_input, redshift, s3_input

KEY = "alias/data"
AT = "/opt/ml/processing/input"
ATHENA: dict[str, Any] = {
    "catalog": "AwsDataCatalog",
    "database": "db",
    "query_string": "SELECT * FROM t",
    "output_s3_uri": "s3://mine/athena/",
    "output_format": "PARQUET",
}
REDSHIFT: dict[str, Any] = {
    "cluster_id": "cluster",
    "database": "db",
    "db_user": "user",
    "query_string": "SELECT * FROM t",
    "cluster_role_arn": "arn:aws:iam::123456789012:role/Redshift",
    "output_s3_uri": "s3://mine/redshift/",
    "output_format": "CSV",
}


def _reading(name: str, *inputs: Described) -> Case:
    return Case(name=f"input: {name}", runs=({"inputs": list(inputs)},))


def _querying(name: str, **definition: Any) -> Case:
    return _reading(name, processing_input(input_name="q", dataset_definition=dataset_definition(**definition)))


CASES = (
    _reading("prefix", processing_input(source="s3://mine/raw/", destination=AT)),
    _reading("one object", processing_input(source="s3://mine/raw/a b+ü.csv", destination=AT)),
    _reading("whole bucket", processing_input(source="s3://mine", destination=AT)),
    _reading("named", processing_input(source="s3://mine/raw", destination=AT, input_name="raw")),
    _reading(
        "unnamed ones are numbered by their place",
        processing_input(source="s3://mine/1", destination=f"{AT}/1"),
        processing_input(source="s3://mine/2", destination=f"{AT}/2", input_name="second"),
        processing_input(source="s3://mine/3", destination=f"{AT}/3"),
    ),
    _reading(
        "manifest",
        processing_input(source="s3://mine/list.manifest", destination=AT, s3_data_type="ManifestFile"),
    ),
    _reading(
        "sharded",
        processing_input(source="s3://mine/raw", destination=AT, s3_data_distribution_type="ShardedByS3Key"),
    ),
    _reading("piped", processing_input(source="s3://mine/raw", destination=AT, s3_input_mode="Pipe")),
    _reading(
        "gzipped",
        processing_input(source="s3://mine/raw", destination=AT, s3_input_mode="Pipe", s3_compression_type="Gzip"),
    ),
    _reading("app managed", processing_input(source="s3://mine/raw", destination=AT, app_managed=True)),
    _reading("S3Input", processing_input(input_name="x", s3_input=s3_input(s3_uri="s3://mine/raw", local_path=AT))),
    _reading(
        "complete S3Input",
        processing_input(
            s3_input=s3_input(
                s3_uri="s3://mine/raw",
                local_path=AT,
                s3_data_type="ManifestFile",
                s3_input_mode="Pipe",
                s3_data_distribution_type="ShardedByS3Key",
                s3_compression_type="Gzip",
            )
        ),
    ),
    _reading(
        "S3Input with parts taken away",
        processing_input(
            app_managed=True,
            s3_input=s3_input(s3_uri="s3://mine/raw", s3_input_mode=None, s3_data_distribution_type=None),
        ),
    ),
    _reading(
        "S3Input wins over source and destination",
        processing_input(
            source="s3://other/x",
            destination="/opt/ml/processing/other",
            s3_input_mode="Pipe",
            s3_input=s3_input(s3_uri="s3://mine/raw", local_path=AT),
        ),
    ),
    _querying("Athena", local_path=AT, athena_dataset_definition=athena(**ATHENA)),
    _querying(
        "Athena with everything",
        local_path=AT,
        data_distribution_type="FullyReplicated",
        input_mode="Pipe",
        athena_dataset_definition=athena(**ATHENA, work_group="primary", kms_key_id=KEY, output_compression="SNAPPY"),
    ),
    _querying("Redshift", local_path=AT, redshift_dataset_definition=redshift(**REDSHIFT)),
    _querying(
        "Redshift with everything",
        local_path=AT,
        redshift_dataset_definition=redshift(**REDSHIFT, kms_key_id=KEY, output_compression="GZIP"),
    ),
    _reading(
        "app-managed query without a path",
        processing_input(
            app_managed=True,
            dataset_definition=dataset_definition(athena_dataset_definition=athena(**ATHENA)),
        ),
    ),
    _reading(
        "query and S3 side by side",
        processing_input(
            dataset_definition=dataset_definition(local_path=f"{AT}/q", athena_dataset_definition=athena(**ATHENA))
        ),
        processing_input(source="s3://mine/raw", destination=f"{AT}/raw"),
    ),
)
