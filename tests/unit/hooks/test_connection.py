"""One value says which AWS a task talks to."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace

import pytest

from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.hooks.processing import ProcessingHook

EVERYTHING = AwsConnection(
    aws_conn_id="aws_other",
    region_name="eu-west-1",
    verify="/etc/ca.pem",
    botocore_config={"retries": {"mode": "adaptive"}},
    default_bucket="a-bucket",
    default_bucket_prefix="a/prefix",
)


def test_a_hook_takes_exactly_the_fields_of_a_connection_and_what_to_hide():
    parameters = inspect.signature(ProcessingHook.__init__).parameters.keys() - {"self", "secrets"}
    assert {field.name for field in fields(AwsConnection)} == parameters


def test_what_is_serialised_makes_an_equal_connection():
    assert AwsConnection(**EVERYTHING.serialize()) == EVERYTHING


def test_equal_settings_have_one_key():
    config = {"b": 1, "a": 2}
    one, same = AwsConnection(botocore_config=config), AwsConnection(botocore_config=dict(reversed(config.items())))
    assert one.watch_key == same.watch_key


@pytest.mark.parametrize("field", [field.name for field in fields(AwsConnection)])
def test_jobs_are_watched_apart_where_credentials_region_or_endpoint_may_differ(field):
    other = replace(EVERYTHING, **{field: None})
    assert (other.watch_key == EVERYTHING.watch_key) is field.startswith("default_bucket")
