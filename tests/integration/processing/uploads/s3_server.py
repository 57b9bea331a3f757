"""An S3 that checks signatures and checksums, records what it stores, and fails or stalls on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sys
import threading
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """The server's behaviour, and a record of what it did."""

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
    stored: list[str] = field(default_factory=list)
    """The keys of the objects in the order in which they were stored, each as often as it was."""
    listings: list[dict[str, str]] = field(default_factory=list)
    """The parameters of each ListObjectsV2."""
    page_size: int = 1000
    """Keys in one answer of ListObjectsV2."""
    parts: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, key: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Make an object visible."""
        self.objects[key] = Stored(body, headers)
        self.stored.append(key)


class RefusedError(Exception):
    """An S3 error to answer with: status, code."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer(self._list)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(lambda key, query, body: (204, ""))

    def log_message(self, *args: Any) -> None:
        """Log nothing."""

    def _answer(self, act: Callable[[str, dict[str, str], bytes], tuple[int, str]]) -> None:
        raw_path, _, raw_query = self.path.partition("?")
        key = unquote(urlsplit(raw_path).path).removeprefix(f"/{BUCKET}").removeprefix("/")
        query = dict(parse_qsl(raw_query, keep_blank_values=True))
        behaviour = self.server.behaviour
        body, checksum = self._body()
        behaviour.on_request(key)
        try:
            self._check_signature(raw_path, query)
            self._check_refusal(key)
            if self.command == "PUT":
                self._check_checksum(key, body, checksum)
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

    def _check_checksum(self, key: str, body: bytes, checksum: str | None) -> None:
        if checksum is None:
            return
        if base64.b64decode(checksum) != zlib.crc32(body).to_bytes(4, "big"):
            raise RefusedError(400, "BadDigest")
        self.server.behaviour.checksummed.add(key)

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", '"0"')
        self.send_header("x-amz-bucket-region", self.server.behaviour.region)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _put(self, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        behaviour = self.server.behaviour
        if "partNumber" in query:
            behaviour.parts[key][int(query["partNumber"])] = body
        else:
            behaviour.store(key, body, dict(self.headers.items()))
        return 200, ""

    def _post(self, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        behaviour = self.server.behaviour
        if "uploads" in query:
            behaviour.creations[key] = dict(self.headers.items())
            return 200, MULTIPART_XML
        parts = behaviour.parts.pop(key)
        joined = b"".join(parts[number] for number in sorted(parts))
        self._check_checksum(key, joined, self.headers.get("x-amz-checksum-crc32"))
        behaviour.store(key, joined, behaviour.creations.pop(key))
        return 200, COMPLETE_XML

    def _list(self, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        """Answer ListObjectsV2; a page's token is the last key of the page before."""
        behaviour = self.server.behaviour
        behaviour.listings.append(query)
        begin = query.get("continuation-token", "")
        keys = sorted(key for key in behaviour.objects if key.startswith(query["prefix"]) and key > begin)
        page, more = keys[: behaviour.page_size], keys[behaviour.page_size :]
        items = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><Size>{len(behaviour.objects[key].body)}</Size></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        flags = f"<EncodingType>url</EncodingType><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        return 200, f"<ListBucketResult>{flags}{token}{items}</ListBucketResult>"

    def _body(self) -> tuple[bytes, str | None]:
        raw = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self._plain()
        checksum = self.headers.get("x-amz-checksum-crc32")
        if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
            raw, checksum = _without_aws_chunks(raw)
        return raw, checksum

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
        line = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
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
        """Ignore only clients that hung up: anything else is an error in this server or in the code under test."""
        if not isinstance(sys.exception() if sys.version_info >= (3, 11) else sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
