"""What the tests of uploads share: an S3, a session, and each engine in turn."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import boto3
import boto3.s3.inject  # imports s3transfer's CRT support itself, which `without_crt` forbids
import pytest
from botocore.config import Config

from .s3_server import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Behaviour, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def target(server: Server, boto_session: boto3.Session) -> Iterator[dict[str, Any]]:
    """The arguments of `upload` that say where to."""
    client = boto_session.client("s3", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 2}))
    yield {"bucket": BUCKET, "key_prefix": "pre/fix", "s3_client": client, "boto_session": boto_session}
    client.close()
