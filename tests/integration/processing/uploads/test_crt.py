from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import subprocess
import sys

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads import upload
from airflow_sm_processing.processing.uploads.crt import CrtEngine, CrtUnavailableError
from airflow_sm_processing.processing.uploads.engines import S3Access


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"proxies": {"https": "http://proxy:1"}}, "a proxy is configured"),
        ({"signature_version": "s3"}, "it signs with s3v4, not s3"),
        ({"signature_version": botocore.UNSIGNED}, "it signs with s3v4, not "),
        ({"client_cert": "/cert.pem"}, "a client certificate is configured"),
        ({"request_checksum_calculation": "when_required"}, "it always sends checksums"),
        ({"retries": {"total_max_attempts": 1}}, "it always tries again"),
    ],
)
def test_what_the_crt_cannot_do_rules_it_out(boto_session, config, reason):
    client = boto_session.client("s3", config=Config(**config))

    with pytest.raises(CrtUnavailableError, match=reason):
        CrtEngine(S3Access(client, boto_session))


@pytest.mark.parametrize("name", ["https_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_rules_it_out(boto_session, monkeypatch, name):
    monkeypatch.setenv(name, "http://proxy:1")

    with pytest.raises(CrtUnavailableError, match="a proxy is configured"):
        CrtEngine(S3Access(boto_session.client("s3"), boto_session))


def test_no_proxy_alone_does_not_rule_it_out(target, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "x").write_bytes(b"1")

    assert upload(tmp_path / "x", **target).engine == "crt"


def test_missing_credentials_rule_it_out(monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = boto3.Session(region_name="eu-west-1")

    with pytest.raises(CrtUnavailableError, match="there are no credentials"):
        CrtEngine(S3Access(session.client("s3"), session))


def test_a_missing_awscrt_rules_it_out(boto_session, no_crt):
    with pytest.raises(CrtUnavailableError, match="it isn't installed or too old, see the extra `crt`"):
        CrtEngine(S3Access(boto_session.client("s3"), boto_session))


def test_the_reason_is_one_debug_line(target, tmp_path, caplog, no_crt):
    caplog.set_level("DEBUG", logger="airflow_sm_processing")
    (tmp_path / "x").write_bytes(b"1")
    upload(tmp_path / "x", **target)

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow")]
    assert lines[0].startswith("Uploading through threads, not the AWS CRT client: it isn't installed or")
    assert len(lines) == 2


@pytest.fixture
def certificate(server, tmp_path):
    """Let the server speak TLS under a certificate that only its own file vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return public


@pytest.fixture
def upload_over_tls(server, boto_session, tmp_path):
    (tmp_path / "x").write_bytes(b"1")

    def run(*, verify):
        url = server.url.replace("http:", "https:")
        config = Config(retries={"total_max_attempts": 2})
        client = boto_session.client("s3", endpoint_url=url, verify=verify, config=config)
        return upload(
            tmp_path / "x",
            bucket="bucket",
            key_prefix="p",
            s3_client=client,
            boto_session=boto_session,
            verify=verify,
        )

    return run


def test_a_ca_bundle_of_ones_own_is_trusted(certificate, upload_over_tls, s3, engine):
    assert upload_over_tls(verify=str(certificate)).engine == engine
    assert set(s3.objects) == {"p/x"}


def test_a_ca_bundle_of_the_environment_is_trusted(certificate, upload_over_tls, engine, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))

    assert upload_over_tls(verify=None).engine == engine


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # urllib3's, of what the test asks for
def test_verify_false_trusts_anybody(certificate, upload_over_tls, engine):
    assert upload_over_tls(verify=False).engine == engine


def test_a_stranger_is_not_trusted_by_the_threads(certificate, upload_over_tls, s3, no_crt):
    """Nor by the CRT, but its TLS library punishes a bad certificate with half a minute's silence."""
    with pytest.raises(UploadError, match="certificate verify failed") as raised:
        upload_over_tls(verify=None)
    assert isinstance(raised.value.__cause__, SSLError)
    assert s3.objects == {}


def test_importing_the_uploads_loads_no_aws_library():
    code = (
        "import airflow_sm_processing.processing.uploads, sys;"
        "print([name for name in ('boto3', 'botocore', 's3transfer', 'awscrt') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
