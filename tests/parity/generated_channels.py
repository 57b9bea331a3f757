"""Strategies for lists of inputs and outputs with names and container paths of their own."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .case import (
    Described,
    athena,
    dataset_definition,
    feature_store_output,
    processing_input,
    processing_output,
    redshift,
    s3_input,
)
from .generated_values import KEY, NAME, S3_URI

MAX_CHANNELS = 5
ROOT = "/opt/ml/processing"
DATA_TYPE = st.sampled_from(["S3Prefix", "ManifestFile"])
DISTRIBUTION = st.sampled_from(["FullyReplicated", "ShardedByS3Key"])
STREAMING = st.sampled_from(
    [{}, {"s3_input_mode": "File"}, {"s3_input_mode": "Pipe"}, {"s3_input_mode": "Pipe", "s3_compression_type": "Gzip"}]
)
TRANSFER = st.builds(
    lambda streaming, rest: {**streaming, **rest},
    STREAMING,
    st.fixed_dictionaries({}, optional={"s3_data_type": DATA_TYPE, "s3_data_distribution_type": DISTRIBUTION}),
)
QUERY = {"database": st.just("db"), "query_string": st.just("SELECT 'ü'\nFROM t"), "output_s3_uri": S3_URI}
ATHENA = st.fixed_dictionaries(
    {**QUERY, "catalog": st.just("AwsDataCatalog"), "output_format": st.sampled_from(["PARQUET", "JSON"])},
    optional={
        "work_group": st.just("primary"),
        "kms_key_id": KEY,
        "output_compression": st.sampled_from(["GZIP", "ZLIB"]),
    },
)
REDSHIFT = st.fixed_dictionaries(
    {
        **QUERY,
        "cluster_id": st.just("cluster"),
        "db_user": st.just("user"),
        "cluster_role_arn": st.just("arn:aws:iam::123456789012:role/Redshift"),
        "output_format": st.sampled_from(["PARQUET", "CSV"]),
    },
    optional={"kms_key_id": KEY, "output_compression": st.sampled_from(["None", "ZSTD"])},
)
DEFINITION = st.fixed_dictionaries(
    {}, optional={"data_distribution_type": DISTRIBUTION, "input_mode": st.sampled_from(["File", "Pipe"])}
)

DESTINATION: st.SearchStrategy[Described] = st.sampled_from([{}, {"destination": None}, {"destination": ""}])
MODE = st.sampled_from([{}, {"s3_upload_mode": "EndOfJob"}, {"s3_upload_mode": "Continuous"}])
FEATURES = st.sampled_from([{}, {"feature_store_output": feature_store_output(feature_group_name="customers")}])


@st.composite
def inputs(draw: st.DrawFn, local: list[str]) -> list[Described]:
    """Return up to five inputs: in S3, as S3Input, from a query, or one of the `local` paths."""
    kinds = st.sampled_from([_source, _s3_input, _athena, _redshift])
    return [
        _named(
            draw, "input_name", f"in-{place}", draw(kinds)(draw, f"{ROOT}/in/{place}", S3_URI | st.sampled_from(local))
        )
        for place in range(draw(st.integers(0, MAX_CHANNELS)))
    ]


@st.composite
def outputs(draw: st.DrawFn) -> list[Described]:
    """Return up to five outputs, to S3 or to the default bucket, some of them for the Feature Store."""
    return [
        _named(draw, "output_name", f"out-{place}", _output(draw, f"{ROOT}/out/{place}"))
        for place in range(draw(st.integers(0, MAX_CHANNELS)))
    ]


def _named(draw: st.DrawFn, field: str, unique: str, channel: Described) -> Described:
    """Add a name or none, and whether the script manages the data by itself or nothing of that."""
    name = draw(st.none() | NAME.map(lambda name: f"{name[:40]}-{unique}"))
    managed = draw(st.sampled_from([{}, {"app_managed": False}, {"app_managed": True}]))
    return {**channel, **managed, **({} if name is None else {field: name})}


def _source(draw: st.DrawFn, path: str, uri: st.SearchStrategy[str]) -> Described:
    return processing_input(source=draw(uri), destination=path, **draw(TRANSFER))


def _s3_input(draw: st.DrawFn, path: str, uri: st.SearchStrategy[str]) -> Described:
    return processing_input(s3_input=s3_input(s3_uri=draw(uri), local_path=path, **draw(TRANSFER)))


def _athena(draw: st.DrawFn, path: str, _uri: object) -> Described:
    return _query(draw, path, athena_dataset_definition=athena(**draw(ATHENA)))


def _redshift(draw: st.DrawFn, path: str, _uri: object) -> Described:
    return _query(draw, path, redshift_dataset_definition=redshift(**draw(REDSHIFT)))


def _query(draw: st.DrawFn, path: str, **query: Any) -> Described:
    return processing_input(dataset_definition=dataset_definition(local_path=path, **query, **draw(DEFINITION)))


def _output(draw: st.DrawFn, path: str) -> Described:
    chosen: Described = draw(DESTINATION | S3_URI.map(lambda uri: {"destination": uri}))
    return processing_output(source=path, **chosen, **draw(MODE), **draw(FEATURES))
