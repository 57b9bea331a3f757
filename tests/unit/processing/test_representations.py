"""What a notebook shows of an object: what differs from the default, and no secret."""

from __future__ import annotations

import pytest

from airflow_sm_processing.processing import (
    NetworkConfig,
    ProcessingInput,
    ProcessingOutput,
    Processor,
    ScriptProcessor,
)

IN = "/opt/ml/processing/in"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ProcessingInput("s3://b/x", IN), f"ProcessingInput(source='s3://b/x', destination='{IN}')"),
        (
            ProcessingInput("s3://b/x", IN, "a", optional=True),
            f"ProcessingInput(source='s3://b/x', destination='{IN}', input_name='a', optional=True)",
        ),
        (ProcessingOutput(IN, output_name="a"), f"ProcessingOutput(source='{IN}', output_name='a')"),
        (NetworkConfig(subnets=["a"]), "NetworkConfig(subnets=['a'])"),
        (NetworkConfig(), "NetworkConfig()"),
        (
            Processor("role", "image", 1, volume_size_in_gb=30, max_runtime_in_seconds=60),
            "Processor(role='role', image_uri='image', instance_count=1, max_runtime_in_seconds=60)",
        ),
        (
            ScriptProcessor("role", "image", ["python3"], volume_size_in_gb=31),
            "ScriptProcessor(role='role', image_uri='image', volume_size_in_gb=31, command=['python3'])",
        ),
    ],
)
def test_it_shows_what_differs_from_the_default(value: object, expected: str) -> None:
    assert repr(value) == expected


def test_it_shows_no_environment() -> None:
    assert "a-secret" not in repr(Processor("role", "image", 1, "ml.m5.large", env={"TOKEN": "a-secret"}))
