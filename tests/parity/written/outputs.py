"""Outputs: where they go, and what they are called."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case, Described, feature_store_output, processing_output
from tests.parity.endpoint.account import Bucket

AT = "/opt/ml/processing/output"
FEATURES = feature_store_output(feature_group_name="customers")


def _writing(name: str, *outputs: Described, **more: Any) -> Case:
    return Case(name=f"output: {name}", runs=({"outputs": list(outputs)},), **more)


CASES = (
    _writing("to S3", processing_output(source=AT, destination="s3://mine/out", output_name="out")),
    _writing("unnamed", processing_output(source=AT, destination="s3://mine/out/")),
    _writing("to the default bucket", processing_output(source=AT, output_name="train")),
    _writing("unnamed, to the default bucket", processing_output(source=AT)),
    _writing("empty destination", processing_output(source=AT, destination="")),
    _writing(
        "unnamed ones are numbered by their place",
        processing_output(source=f"{AT}/1", destination="s3://mine/1"),
        processing_output(source=f"{AT}/2", output_name="second"),
        processing_output(source=f"{AT}/3"),
    ),
    _writing("continuous", processing_output(source=AT, destination="s3://mine/out", s3_upload_mode="Continuous")),
    _writing("app managed", processing_output(source=AT, destination="s3://mine/out", app_managed=True)),
    _writing(
        "feature store",
        processing_output(source=AT, destination="s3://mine/out", app_managed=True, feature_store_output=FEATURES),
    ),
    _writing(
        "feature store alone",
        processing_output(destination="s3://mine/out", app_managed=True, feature_store_output=FEATURES),
    ),
    _writing(
        "under a prefix of the session",
        processing_output(source=AT),
        session={"default_bucket": "mine", "default_bucket_prefix": "team/x"},
        buckets={"mine": Bucket()},
    ),
)
