from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from airflow_sm_processing.processing import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.model import OperationModel

REGION = "eu-west-1"


@pytest.fixture(scope="session")
def boto_session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="AKIAMADEUP", aws_secret_access_key="made-up", region_name=REGION)


@pytest.fixture(scope="session")
def clients(boto_session: boto3.Session) -> dict[str, Any]:
    """Real botocore clients, made once: their models take a while to load."""
    return {name: boto_session.client(name) for name in ("sagemaker", "s3", "sts", "iam", "logs")}


@pytest.fixture(scope="session")
def create_operation(clients: dict[str, Any]) -> OperationModel:
    return clients["sagemaker"].meta.service_model.operation_model("CreateProcessingJob")


@pytest.fixture
def stubs(clients: dict[str, Any]) -> Iterator[dict[str, Stubber]]:
    """botocore's own stubbers: a call that a test doesn't expect fails, and so does one that doesn't come."""
    with ExitStack() as stack:
        stubbers = {name: stack.enter_context(Stubber(client)) for name, client in clients.items()}
        yield stubbers
        for stubber in stubbers.values():
            stubber.assert_no_pending_responses()


@pytest.fixture
def session_factory(boto_session: boto3.Session, clients: dict[str, Any]) -> Callable[..., Session]:
    """Make sessions on the shared clients."""

    def make(**options: Any) -> Session:
        return Session(boto_session, client_factory=clients.__getitem__, **options)

    return make


@pytest.fixture
def session(stubs: dict[str, Stubber], session_factory: Callable[..., Session]) -> Session:
    """A session whose clients answer only what `stubs` are told to."""
    return session_factory(default_bucket="bucket")
