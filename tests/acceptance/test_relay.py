"""The relay that the crash matrix holds and cuts calls with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ProxyConnectionError

from airflow_sm_processing.local import LocalSageMaker

from .crash_matrix.calls import At
from .crash_matrix.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def service() -> Iterator[LocalSageMaker]:
    with LocalSageMaker() as server:
        yield server


@pytest.fixture
def relay(service: LocalSageMaker) -> Iterator[Relay]:
    port = urlsplit(service.endpoint_url).port
    assert port is not None
    with Relay(port) as relay:
        yield relay


@pytest.fixture
def create_bucket(service: LocalSageMaker, relay: Relay) -> Iterator[Callable[[str], Any]]:
    """Makes a bucket, by way of the relay, and tries once."""
    config = Config(proxies={"http": relay.url}, retries={"total_max_attempts": 1, "mode": "standard"})
    client = boto3.client(
        "s3",
        endpoint_url=service.endpoint_url,
        region_name=service.region,
        aws_access_key_id=service.key.access_key_id,
        aws_secret_access_key=service.key.secret_access_key,
        config=config,
    )
    yield lambda name: client.create_bucket(Bucket=name)
    client.close()


@pytest.fixture
def buckets(service: LocalSageMaker) -> Callable[[], set[str]]:
    """Returns the buckets that there are, past the relay."""
    return lambda: {bucket["Name"] for bucket in service.client("s3").list_buckets()["Buckets"]}


def test_a_signed_call_passes_and_is_noted(relay: Relay, create_bucket: Callable[[str], Any], buckets: Any) -> None:
    create_bucket("passes")
    assert "passes" in buckets()
    assert [(call.operation, call.status) for call in relay.passed()] == [("PUT", 200)]


def test_a_call_held_as_a_request_reaches_nobody_until_it_is_let_go(
    relay: Relay, create_bucket: Callable[[str], Any], buckets: Any
) -> None:
    hold = relay.hold(lambda request: request.operation == "PUT", at=At.REQUEST)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(create_bucket, "held")
        assert hold.wait(300)
        assert ("held" in buckets(), call.done(), relay.passed()) == (False, False, [])
        hold.let_go()
        call.result(300)
    assert "held" in buckets()


def test_a_call_held_at_its_answer_was_carried_out_though_the_answer_is_lost(
    relay: Relay, create_bucket: Callable[[str], Any], buckets: Any
) -> None:
    hold = relay.hold(lambda request: request.operation == "PUT", at=At.ANSWER)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(create_bucket, "answer-lost")
        assert hold.wait(300)
        hold.drop()
        with pytest.raises(ProxyConnectionError):
            call.result(300)
    assert "answer-lost" in buckets()


def test_a_cut_line_lets_nothing_through_until_it_is_mended(
    relay: Relay, create_bucket: Callable[[str], Any], buckets: Any
) -> None:
    relay.cut()
    with pytest.raises(ProxyConnectionError):
        create_bucket("cut")
    assert "cut" not in buckets()
    relay.mend()
    create_bucket("cut")
    assert "cut" in buckets()
