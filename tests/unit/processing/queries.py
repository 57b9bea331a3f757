"""Inputs that are queries."""

from __future__ import annotations

from typing import Any

from airflow_sm_processing.processing import (
    AthenaDatasetDefinition,
    DatasetDefinition,
    ProcessingInput,
    RedshiftDatasetDefinition,
)

from .makers import DESTINATION, ROLE_ARN

ATHENA = AthenaDatasetDefinition(
    catalog="c", database="d", query_string="SELECT 1", output_s3_uri="s3://b/q", output_format="PARQUET"
)
REDSHIFT = RedshiftDatasetDefinition(
    cluster_id="c",
    database="d",
    db_user="u",
    query_string="SELECT 1",
    cluster_role_arn=ROLE_ARN,
    output_s3_uri="s3://b/q",
    output_format="CSV",
)


def query(**changes: Any) -> ProcessingInput:
    fields = {"local_path": DESTINATION, "athena_dataset_definition": ATHENA}
    return ProcessingInput(dataset_definition=DatasetDefinition(**(fields | changes)))
