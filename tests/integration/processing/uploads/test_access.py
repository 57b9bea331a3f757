from __future__ import annotations

import boto3
import botocore.httpsession
import pytest
from botocore.config import Config

from airflow_sm_processing.processing.uploads.engines import S3Access


@pytest.mark.parametrize(
    "made_with",
    [
        {},
        {"endpoint_url": "http://127.0.0.1:9"},
        {"config": Config(s3={"addressing_style": "path"}, retries={"max_attempts": 7}, read_timeout=11)},
        {"config": Config(s3={"use_accelerate_endpoint": True}, request_checksum_calculation="when_required")},
        {"config": Config(proxies={"https": "http://proxy"}, user_agent_extra="extra/1")},
    ],
)
def test_a_new_client_sends_the_same_request_to_the_same_place(boto_session, made_with):
    client = boto_session.client("s3", **made_with)
    new = S3Access(client, boto_session).new_client(connections=33)

    assert sent_by(new) == sent_by(client)
    assert new.meta.config.max_pool_connections == 33
    for name in ("retries", "read_timeout", "proxies", "request_checksum_calculation"):
        assert getattr(new.meta.config, name) == getattr(client.meta.config, name)


def sent_by(client) -> str:
    """Where the client sends an object: the address without what depends on the time."""
    return client.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "key"}).partition("?")[0]


def test_an_endpoint_from_the_environment_is_kept(boto_session, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    client = boto_session.client("s3")

    assert sent_by(S3Access(client, boto_session).new_client(connections=1)) == "http://127.0.0.1:9/bucket/key"


@pytest.fixture
def client(boto_session):
    return boto_session.client("s3")


def test_the_ca_bundle_is_the_argument_before_the_environment(boto_session, client, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", "/env.pem")

    assert S3Access(client, boto_session, verify="/mine.pem").ca_bundle() == "/mine.pem"
    assert S3Access(client, boto_session, verify=False).ca_bundle() is False


def test_the_ca_bundle_is_boto3s_own_without_settings(boto_session, client):
    bundle = botocore.httpsession.get_cert_path(verify=True)

    assert S3Access(client, boto_session).ca_bundle() == bundle
    assert S3Access(client, boto_session, verify=True).ca_bundle() == bundle


@pytest.mark.parametrize("variables", [["AWS_CA_BUNDLE"], ["REQUESTS_CA_BUNDLE"]])
def test_the_ca_bundle_comes_from_the_environment(monkeypatch, variables):
    for name in variables:
        monkeypatch.setenv(name, "/env.pem")
    session = boto3.Session("key", "secret", region_name="eu-west-1")

    assert S3Access(session.client("s3"), session).ca_bundle() == "/env.pem"
