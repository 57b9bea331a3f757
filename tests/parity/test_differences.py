"""Where the SDK's behaviour hurts we differ from it, on purpose and only so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .differing.all import DIFFERENCES

if TYPE_CHECKING:
    from .bench import Bench
    from .difference import Difference


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.case.name)
def test_difference(difference: Difference, bench: Bench) -> None:
    sdk, ours = bench.compare(difference.case)
    seen = {"sdk": difference.see(sdk), "ours": difference.see(ours)}
    assert seen == {"sdk": difference.sdk, "ours": difference.ours}, (difference.reason, sdk.message, ours.message)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.case.name)
def test_difference_is_one(difference: Difference) -> None:
    assert difference.sdk != difference.ours
