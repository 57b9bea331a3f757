"""Tasks with whatever a test doesn't care about filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing import ScriptProcessingOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG


@pytest.fixture
def valid() -> dict[str, Any]:
    """The parameters that every script task needs."""
    return {
        "role": "arn:aws:iam::123456789012:role/SageMakerRole",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
        "instance_count": 1,
        "instance_type": "ml.m5.xlarge",
        "code": "s3://code/script.py",
    }


@pytest.fixture
def task_factory(dag: DAG, valid: dict[str, Any]) -> Callable[..., ScriptProcessingOperator]:
    """Makes valid tasks; parameters that a test gives replace the defaults, None takes one away."""

    def make(**parameters: Any) -> ScriptProcessingOperator:
        return ScriptProcessingOperator(**{"task_id": "task", **valid, **parameters})

    return make
