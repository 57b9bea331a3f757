"""Objects are read whole, or not at all."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import boto3
import pytest

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.processing import Session
from airflow_sm_processing.processing.s3 import LargeObjectError, read_object

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT = b"half of it"


class _BreaksOff(BaseHTTPRequestHandler):
    """Promises twice as much as it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(SENT)))
        self.send_header("ETag", '"of all"')
        self.end_headers()
        self.wfile.write(SENT)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Of an S3 that breaks off in the middle of each object."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "made-up")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield Session(boto3.Session(region_name="us-east-1"))
        server.shutdown()


def test_a_connection_that_breaks_off_is_trouble_that_may_pass(session: Session):
    with pytest.raises(TransientError, match="GetObject for s3://bucket/key"):
        read_object(session, "s3://bucket/key", max_bytes=1000)


def test_what_is_too_large_is_not_read(session: Session):
    with pytest.raises(LargeObjectError, match="s3://bucket/key has 20 bytes, and 19 are read at most"):
        read_object(session, "s3://bucket/key", max_bytes=2 * len(SENT) - 1)
