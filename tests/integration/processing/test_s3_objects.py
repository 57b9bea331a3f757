"""Objects are read whole, or not at all."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import boto3
import pytest

from airflow_sm_processing.exceptions import DefinitionError, TransientError
from airflow_sm_processing.processing import Session
from airflow_sm_processing.processing.defaults import Source, read_defaults
from airflow_sm_processing.processing.s3 import LargeObjectError, read_object

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT = b"half of it"


class _BreaksOff(BaseHTTPRequestHandler):
    """Promises more than it sends: twice as much, or two megabytes below `large/`."""

    def do_GET(self) -> None:
        self.send_response(200)
        promised = 2 * 1024 * 1024 if "/large/" in self.path else 2 * len(SENT)
        self.send_header("Content-Length", str(promised))
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


def test_defaults_that_break_off_are_not_half_applied(session: Session):
    with pytest.raises(TransientError, match=r"GetObject for s3://bucket/config\.yaml was interrupted"):
        read_defaults([Source("s3://bucket/config.yaml")], lambda: session.s3_client)


def test_defaults_that_are_too_long_are_refused_unread(session: Session):
    with pytest.raises(DefinitionError) as caught:
        read_defaults([Source("s3://bucket/large/config.yaml")], lambda: session.s3_client)

    assert "s3://bucket/large/config.yaml: is longer than 1048576 bytes" in str(caught.value)


def test_what_is_too_large_is_not_read(session: Session):
    with pytest.raises(LargeObjectError, match="s3://bucket/key has 20 bytes, and 19 are read at most"):
        read_object(session, "s3://bucket/key", max_bytes=2 * len(SENT) - 1)
