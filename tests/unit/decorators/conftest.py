"""Functions with whatever a test doesn't care about filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from tests.unit.operators.runner import Runner, Supervisor, installed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def valid() -> dict[str, Any]:
    """The parameters that every function needs."""
    return {
        "role": "arn:aws:iam::123456789012:role/SageMakerRole",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
        "instance_type": "ml.m5.xlarge",
    }


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("a_dag", schedule=None) as dag:
        yield dag


@pytest.fixture
def runner() -> Iterator[Runner]:
    with installed(Supervisor()) as runner:
        yield runner
