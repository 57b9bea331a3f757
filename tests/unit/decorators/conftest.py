"""Functions with whatever a test doesn't care about filled in."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def valid() -> dict[str, Any]:
    """The parameters that every function needs."""
    return {
        "role": "arn:aws:iam::123456789012:role/SageMakerRole",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
        "instance_type": "ml.m5.xlarge",
    }
