"""For the same arguments we put on the wire what the SageMaker SDK puts there: cases written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .comparison import assert_equal
from .written.all import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench
    from .case import Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_written_case(case: Case, bench: Bench, proven: Callable[..., None]) -> None:
    assert_equal(case, *bench.compare(case))
    proven(written=1)


def test_each_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
