"""Nobody without the secret is served, whatever the service; every current client is."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from .wire import send, signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

    from .bench import Bench

MIB = 1024 * 1024


def _client(server: LocalSageMaker, service: str, **more: Any) -> Any:
    keys = {"aws_access_key_id": server.key.access_key_id, "aws_secret_access_key": server.key.secret_access_key}
    return boto3.client(service, endpoint_url=server.endpoint_url, **({"region_name": "us-east-1"} | keys | more))


CALLS = {
    "s3": lambda client: client.list_buckets(),
    "sts": lambda client: client.get_caller_identity(),
    "iam": lambda client: client.list_roles(),
    "logs": lambda client: client.describe_log_groups(),
    "sagemaker": lambda client: client.list_processing_jobs(),
}


def _error_code(server: LocalSageMaker, service: str, **more: Any) -> str:
    client = _client(server, service, **more)
    with pytest.raises(ClientError) as caught:
        CALLS[service](client)
    client.close()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("service", CALLS)
def test_the_servers_key_is_served(sagemaker: LocalSageMaker, service: str):
    client = _client(sagemaker, service)
    assert CALLS[service](client)["ResponseMetadata"]["HTTPStatusCode"] == 200
    client.close()


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("s3", "InvalidAccessKeyId"),
        ("sts", "InvalidClientTokenId"),
        ("iam", "InvalidClientTokenId"),
        ("logs", "UnrecognizedClientException"),
        ("sagemaker", "UnrecognizedClientException"),
    ],
)
def test_another_access_key_is_refused(sagemaker: LocalSageMaker, service: str, code: str):
    assert _error_code(sagemaker, service, aws_access_key_id="AKIAAAAAAAAAAAAAAAAA") == code


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("s3", "SignatureDoesNotMatch"),
        ("sts", "SignatureDoesNotMatch"),
        ("iam", "SignatureDoesNotMatch"),
        ("logs", "InvalidSignatureException"),
        ("sagemaker", "InvalidSignatureException"),
    ],
)
def test_another_secret_is_refused(sagemaker: LocalSageMaker, service: str, code: str):
    assert _error_code(sagemaker, service, aws_secret_access_key="a" * 40) == code


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/", None),
        ("PUT", "/some-bucket", None),
        ("GET", "/moto-api/data.json", None),
        ("POST", "/moto-api/reset", None),
        ("GET", "/latest/meta-data/iam/security-credentials/", None),
        ("POST", "/", "SageMaker.CreateProcessingJob"),
        ("GET", "/_local/faults", None),
        ("PUT", "/_local/faults", None),
    ],
)
def test_an_unsigned_request_is_refused(sagemaker: LocalSageMaker, method: str, path: str, target: str | None):
    status, _ = send(sagemaker, method, path, {"X-Amz-Target": target} if target else {}, b"{}")
    assert status == 403


def test_a_changed_body_is_refused(sagemaker: LocalSageMaker):
    headers = signed(sagemaker)
    assert send(sagemaker, "POST", "/", headers, b"{}")[0] == 200
    assert send(sagemaker, "POST", "/", headers, b'{"MaxResults": 5}')[0] == 403


def test_an_old_signature_is_refused(sagemaker: LocalSageMaker, turn_clock_back):
    turn_clock_back(seconds=16 * 60)
    headers = signed(sagemaker)
    status, answer = send(sagemaker, "POST", "/", headers, b"{}")
    assert (status, b"RequestTimeTooSkewed" in answer) == (403, True)


@pytest.fixture
def turn_clock_back(monkeypatch) -> Callable[..., None]:
    """Let both of botocore's signers, its own and the CRT's, sign in the past."""

    def turn(*, seconds: float) -> None:
        now = datetime.now(timezone.utc) - timedelta(seconds=seconds)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
        monkeypatch.setattr("botocore.crt.auth.get_current_datetime", lambda **_: now)

    return turn


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost.evil.example", ""])
def test_another_host_header_is_refused_thoughsigned(sagemaker: LocalSageMaker, host: str):
    headers = signed(sagemaker, headers={"Host": host}) | {"Host": host}
    assert send(sagemaker, "POST", "/", headers, b"{}")[0] == 403


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
def test_a_browser_is_refused_thoughsigned(sagemaker: LocalSageMaker, header: str):
    headers = signed(sagemaker) | {header: "http://127.0.0.1"}
    status, answer = send(sagemaker, "POST", "/", headers, b"{}")
    assert (status, b"Browsers aren't served" in answer) == (403, True)


def test_cors_preflights_are_refused(sagemaker: LocalSageMaker):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert send(sagemaker, "OPTIONS", "/", headers)[0] == 403


def test_services_that_are_not_there_are_named(sagemaker: LocalSageMaker):
    client = _client(sagemaker, "dynamodb")
    with pytest.raises(ClientError, match="has no dynamodb; it has iam, logs, s3, sagemaker, sts"):
        client.list_tables()
    client.close()


def test_presigned_urls_work_until_they_expire(bench: Bench, turn_clock_back):
    bench.put("some key+ü%20/x", "presigned")
    place = {"Bucket": bench.bucket, "Key": "some key+ü%20/x"}
    client = _client(bench.server, "s3", config=Config(signature_version="s3v4"))
    url = client.generate_presigned_url("get_object", Params=place, ExpiresIn=60)
    path = url.removeprefix(bench.server.endpoint_url)
    assert send(bench.server, "GET", path, {}) == (200, b"presigned")
    assert send(bench.server, "GET", path.replace("Expires=60", "Expires=90"), {})[0] == 403
    assert send(bench.server, "DELETE", path, {})[0] == 403
    turn_clock_back(seconds=61)
    expired = client.generate_presigned_url("get_object", Params=place, ExpiresIn=60)
    status, answer = send(bench.server, "GET", expired.removeprefix(bench.server.endpoint_url), {})
    assert (status, b"Request has expired" in answer) == (403, True)
    client.close()


def test_presigned_uploads_work(bench: Bench):
    client = _client(bench.server, "s3", config=Config(signature_version="s3v4"))
    url = client.generate_presigned_url("put_object", Params={"Bucket": bench.bucket, "Key": "up"}, ExpiresIn=60)
    assert send(bench.server, "PUT", url.removeprefix(bench.server.endpoint_url), {}, b"body")[0] == 200
    assert bench.objects() == {"up": b"body"}
    client.close()


KEYS = [
    "plain",
    "with space",
    "plus+sign",
    "ümläut/日本",
    "per%20cent",
    "a//b",
    "tilde~(x)!*'",
    "dot/./dot",
    "q?a=b&c#d",
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_and_metadata_survive_the_way(bench: Bench, key: str):
    bench.s3.put_object(
        Bucket=bench.bucket, Key=key, Body=b"\0\xff\r\n", Metadata={"under_score": "a  b", "da-sh": "1"}
    )
    assert [item["Key"] for item in bench.s3.list_objects_v2(Bucket=bench.bucket)["Contents"]] == [key]
    got = bench.s3.get_object(Bucket=bench.bucket, Key=key)
    assert (got["Body"].read(), got["Metadata"]) == (b"\0\xff\r\n", {"under_score": "a  b", "da-sh": "1"})
    bench.s3.copy_object(Bucket=bench.bucket, Key="copy", CopySource={"Bucket": bench.bucket, "Key": key})
    bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    assert set(bench.objects()) == {"copy"}


@pytest.mark.parametrize("key", KEYS)
def test_botocores_own_s3_signer_is_understood(bench: Bench, key: str):
    path = f"/{bench.bucket}/{quote(key)}"
    request = AWSRequest("PUT", bench.server.endpoint_url + path, data=b"by hand", headers={"x-amz-meta-a": " b  c "})
    credentials = Credentials(bench.server.key.access_key_id, bench.server.key.secret_access_key)
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    assert send(bench.server, "PUT", path, dict(request.headers.items()), b"by hand")[0] == 200
    assert bench.objects() == {key: b"by hand"}


def _file(folder: Path, size: int) -> Path:
    path = folder / "big"
    path.write_bytes(os.urandom(1024) * (size // 1024) + b"tail")
    return path


@pytest.mark.parametrize("checksum", ["CRC32", "SHA256", None])
def test_a_multipart_upload_of_20_mb_arrives_whole(bench: Bench, tmp_path: Path, checksum: str | None):
    path = _file(tmp_path, 20 * MIB)
    extra = {"ChecksumAlgorithm": checksum} if checksum else {}
    bench.s3.upload_file(str(path), bench.bucket, "big", ExtraArgs=extra)
    bench.s3.download_file(bench.bucket, "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("size", [0, 1024, 20 * MIB])
def test_the_crt_client_uploads_and_downloads(bench: Bench, tmp_path: Path, size: int):
    crt = pytest.importorskip("awscrt.s3")
    from awscrt.auth import AwsCredentialsProvider
    from botocore.session import Session
    from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager, create_s3_crt_client

    key = bench.server.key
    session = Session()
    session.set_credentials(key.access_key_id, key.secret_access_key)
    provider = AwsCredentialsProvider.new_static(key.access_key_id, key.secret_access_key)
    client = create_s3_crt_client("us-east-1", crt_credentials_provider=provider, use_ssl=False)
    assert isinstance(client, crt.S3Client)
    serializer = BotocoreCRTRequestSerializer(
        session, {"region_name": "us-east-1", "endpoint_url": bench.server.endpoint_url}
    )
    path = _file(tmp_path, size)
    with CRTTransferManager(client, serializer) as manager:
        manager.upload(str(path), bench.bucket, "some key/ü", {}, []).result()
        manager.download(bench.bucket, "some key/ü", str(tmp_path / "back"), {}, []).result()
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_a_role_assumed_here_signs_too(bench: Bench):
    role = f"arn:aws:iam::{bench.server.account_id}:role/SageMakerRole"
    assumed = bench.server.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    keys = {
        "aws_access_key_id": assumed["AccessKeyId"],
        "aws_secret_access_key": assumed["SecretAccessKey"],
    }
    client = _client(bench.server, "s3", **keys, aws_session_token=assumed["SessionToken"])
    assert bench.bucket in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    client.close()
    assert _error_code(bench.server, "s3", **keys, aws_session_token="wrong") == "InvalidToken"


def test_another_accounts_bucket_is_denied(bench: Bench):
    other = bench.server.client("s3", account_id="999999999999")
    for call in (other.head_bucket, other.list_objects_v2):
        with pytest.raises(ClientError) as caught:
            call(Bucket=bench.bucket)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(other.exceptions.BucketAlreadyExists):
        other.create_bucket(Bucket=bench.bucket)


def test_an_expected_owner_that_is_not_the_owner_is_denied(bench: Bench):
    bench.s3.head_bucket(Bucket=bench.bucket, ExpectedBucketOwner=bench.server.account_id)
    with pytest.raises(ClientError) as caught:
        bench.s3.head_bucket(Bucket=bench.bucket, ExpectedBucketOwner="999999999999")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
