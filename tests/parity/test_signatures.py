"""A call that is written for the SDK means the same to us, positional arguments included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .bench import Bench

CALLABLES = (
    "AthenaDatasetDefinition",
    "DatasetDefinition",
    "FrameworkProcessor",
    "FrameworkProcessor.run",
    "HuggingFaceProcessor",
    "MXNetProcessor",
    "NetworkConfig",
    "ProcessingInput",
    "ProcessingJob",
    "ProcessingJob.describe",
    "ProcessingJob.from_processing_arn",
    "ProcessingJob.from_processing_name",
    "ProcessingJob.start_new",
    "ProcessingJob.stop",
    "ProcessingJob.wait",
    "ProcessingOutput",
    "Processor",
    "Processor.run",
    "PySparkProcessor",
    "PySparkProcessor.run",
    "PyTorchProcessor",
    "PyTorchProcessor.run",
    "RedshiftDatasetDefinition",
    "SKLearnProcessor",
    "SparkJarProcessor",
    "SparkJarProcessor.run",
    "TensorFlowProcessor",
    "XGBoostProcessor",
    "S3Input",
    "ScriptProcessor",
    "ScriptProcessor.run",
)


@pytest.mark.parametrize("name", CALLABLES)
def test_parameters_are_the_sdks_and_ours_follow_by_name(name: str, bench: Bench) -> None:
    sdk, ours = bench.parameters(name)
    assert ours[: len(sdk)] == sdk
    assert {kind for _, _, kind in ours[len(sdk) :]} <= {"KEYWORD_ONLY"}


def test_the_images_parameters_begin_as_the_sdks_do(bench: Bench) -> None:
    sdk, ours = bench.parameters("retrieve")
    assert ours == sdk[: len(ours)]
    assert len(ours) == 10
