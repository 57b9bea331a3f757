"""For the same arguments we put on the wire what the SageMaker SDK puts there: generated cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from .comparison import assert_equal
from .generated import cases
from .written.all import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench
    from .case import Case

PROCESSORS = ("Processor", "ScriptProcessor", "PyTorchProcessor", "PySparkProcessor", "SparkJarProcessor")
EXAMPLES = 36
"""Draws for each processor; always the same ones, as they are derandomised. A few of them are equal."""
DISTINCT = 30
MINIMUM_CASES, MINIMUM_GENERATED = 90, 50


@pytest.mark.parametrize("processor", PROCESSORS)
def test_generated_cases(processor: str, bench: Bench, proven: Callable[..., None]) -> None:
    seen: set[str] = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=cases(processor))
    def equal_on_the_wire(case: Case) -> None:
        seen.add(repr(case))
        assert_equal(case, *bench.compare(case))

    equal_on_the_wire()
    assert len(seen) >= DISTINCT
    proven(generated=len(seen))


def test_there_are_enough_cases() -> None:
    generated = DISTINCT * len(PROCESSORS)
    assert generated >= MINIMUM_GENERATED
    assert len(CASES) + generated >= MINIMUM_CASES
