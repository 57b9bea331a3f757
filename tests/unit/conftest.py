"""What every unit test relies on: no AWS but a made-up one, and the same generated cases on every run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_sm_processing import ScriptProcessingOperator

# Derandomized and without a database: a run can be repeated and leaves nothing behind. A slow machine is no failure.
settings.register_profile(
    "unit",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unit")


@pytest.fixture(scope="session", autouse=True)
def made_up_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the user's own AWS configuration, so that no test can reach an account."""
    nowhere = tmp_path_factory.mktemp("aws") / "absent"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        patch.setenv("AWS_CONFIG_FILE", str(nowhere))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


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

    from airflow_sm_processing import ScriptProcessingOperator

    def make(**parameters: Any) -> ScriptProcessingOperator:
        return ScriptProcessingOperator(**{"task_id": "task", **valid, **parameters})

    return make
