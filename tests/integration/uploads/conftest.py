"""An S3 that checks signatures and checksums, records what it stores, and fails or stalls on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sys
import threading
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
import boto3.s3.inject  # imports s3transfer's CRT support itself, which `without_crt` forbids
import pytest
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "a secret/of+these tests"
REGION = "eu-west-1"
BUCKET = "bucket"

MULTIPART_XML = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
COMPLETE_XML = '<CompleteMultipartUploadResult><ETag>"0"</ETag></CompleteMultipartUploadResult>'


@dataclass
class Stored:
    """An object, and the headers of the request that made it (CreateMultipartUpload's, for one sent in parts)."""

    body: bytes
    headers: Mapping[str, str]


@dataclass
class Behaviour:
    """What the server does and did."""

    objects: dict[str, Stored] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and code to answer with, by key; of any key for `*`."""
    region: str = REGION
    """Where the bucket is: S3 redirects requests that are signed for another region."""
    on_request: Callable[[str], None] = lambda key: None
    """Called with each request's key, in the server's thread."""
    checksummed: set[str] = field(default_factory=set)
    """Keys of which every byte came with a CRC32 that was right."""
    secrets: dict[str, str] = field(default_factory=lambda: {ACCESS_KEY: SECRET_KEY})
    access_keys: set[str] = field(default_factory=set)
    """The access keys that signed something."""
    creations: dict[str, dict[str, str]] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    lock: threading.Lock = field(default_factory=threading.Lock)


class RefusedError(Exception):
    """An S3 error to answer with: status, code."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(lambda key, query, body: (204, ""))

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, act: Callable[[str, dict[str, str], bytes], tuple[int, str]]) -> None:
        raw_path, _, raw_query = self.path.partition("?")
        key = unquote(urlsplit(raw_path).path).removeprefix(f"/{BUCKET}/")
        query = dict(parse_qsl(raw_query, keep_blank_values=True))
        behaviour = self.server.behaviour
        body = self._body(key)
        behaviour.on_request(key)
        try:
            self._check_signature(raw_path, query)
            self._check_refusal(key)
            with behaviour.lock:
                status, text = act(key, query, body)
        except RefusedError as refused:
            status, code = refused.args
            text = f"<Error><Code>{code}</Code><Message>Said the test.</Message></Error>"
        self._send(status, text)

    def _check_refusal(self, key: str) -> None:
        refusals = self.server.behaviour.refusals
        if refusal := refusals.get(key) or refusals.get("*"):
            raise RefusedError(*refusal)

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", '"0"')
        self.send_header("x-amz-bucket-region", self.server.behaviour.region)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _put(self, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        behaviour = self.server.behaviour
        if "partNumber" in query:
            behaviour.parts[key][int(query["partNumber"])] = body
        else:
            behaviour.objects[key] = Stored(body, dict(self.headers.items()))
        return 200, ""

    def _post(self, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        behaviour = self.server.behaviour
        if "uploads" in query:
            behaviour.creations[key] = dict(self.headers.items())
            return 200, MULTIPART_XML
        parts = behaviour.parts.pop(key)
        joined = b"".join(parts[number] for number in sorted(parts))
        behaviour.objects[key] = Stored(joined, behaviour.creations.pop(key))
        return 200, COMPLETE_XML

    def _body(self, key: str) -> bytes:
        raw = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self._plain()
        checksum = self.headers.get("x-amz-checksum-crc32")
        if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
            raw, checksum = _without_aws_chunks(raw)
        if checksum:
            assert base64.b64decode(checksum) == zlib.crc32(raw).to_bytes(4, "big")
            self.server.behaviour.checksummed.add(key)
        return raw

    def _plain(self) -> bytes:
        return self._exactly(int(self.headers.get("Content-Length", "0")))

    def _exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("the client hung up")
        return data

    def _chunks(self) -> bytes:
        raw = b""
        while size := int(self.rfile.readline(), 16):
            raw += self._exactly(size)
            self.rfile.readline()
        self.rfile.readline()
        return raw

    def _check_signature(self, raw_path: str, query: dict[str, str]) -> None:
        """Compute the AWS Signature Version 4 anew, as S3 does."""
        _, _, fields = self.headers.get("Authorization", "").partition(" ")
        given = dict(item.strip().split("=", 1) for item in fields.split(","))
        access_key, *scope = given["Credential"].split("/")
        names = given["SignedHeaders"].split(";")
        signed = "".join(f"{name}:{' '.join((self.headers[name] or '').split())}\n" for name in names)
        line = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
        request = [self.command, raw_path, line, signed, ";".join(names), self.headers["x-amz-content-sha256"]]
        digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], "/".join(scope), digest])
        secret = f"AWS4{self.server.behaviour.secrets[access_key]}".encode()
        for part in scope:
            secret = hmac.digest(secret, part.encode(), "sha256")
        if hmac.new(secret, text.encode(), "sha256").hexdigest() != given["Signature"]:
            raise RefusedError(403, "SignatureDoesNotMatch")
        if self.server.behaviour.region not in scope:
            raise RefusedError(301, "PermanentRedirect")
        self.server.behaviour.access_keys.add(access_key)


def _without_aws_chunks(raw: bytes) -> tuple[bytes, str | None]:
    body = b""
    while True:
        line, _, raw = raw.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            break
        body, raw = body + raw[:size], raw[size + 2 :]
    name, _, value = raw.partition(b"\r\n")[0].decode().partition(":")
    return body, value.strip() if name == "x-amz-checksum-crc32" else None


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the connections' ends: a client that leaves one open hangs its test
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = Behaviour()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let only a hung-up client pass: anything else is a fault of this server or of what it checks."""
        if not isinstance(sys.exception() if sys.version_info >= (3, 11) else sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def s3(server: Server) -> Behaviour:
    return server.behaviour


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own AWS settings, proxies and certificates out."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "REQUESTS_CA_BUNDLE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.fixture
def boto_session() -> boto3.Session:
    return boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)


@pytest.fixture(params=["crt", "threads"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each engine in turn."""
    if request.param == "threads":
        without_crt(monkeypatch)
    return str(request.param)


def without_crt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let importing s3transfer's CRT support fail, as it does where awscrt isn't installed."""
    monkeypatch.setitem(sys.modules, "s3transfer.crt", None)


@pytest.fixture
def no_crt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no CRT client."""
    without_crt(monkeypatch)


@pytest.fixture
def target(server: Server, boto_session: boto3.Session) -> dict[str, Any]:
    """The arguments of `upload` that say where to."""
    client = boto_session.client("s3", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 2}))
    return {"bucket": BUCKET, "key_prefix": "pre/fix", "s3_client": client, "boto_session": boto_session}
