"""The comparison can fail: it notices each kind of effect that differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from .case import Case, processing_input, processing_output
from .comparison import assert_equal
from .endpoint.account import ACCOUNT_ID, Bucket

if TYPE_CHECKING:
    from .bench import Bench
    from .wire import Wire


RUN: dict[str, Any] = {
    "code": "script.py",
    "inputs": [processing_input(source="data", destination="/opt/ml/processing/data")],
    "outputs": [processing_output(source="/opt/ml/processing/out")],
}
CASE = Case(
    name="base",
    processor="ScriptProcessor",
    init={"role": "SageMakerRole"},
    runs=(RUN,),
    files={"script.py": "print(1)", "data/a.csv": "a"},
)
CHANGED = {
    "a field": replace(CASE, init={**CASE.init, "volume_size_in_gb": 31}),
    "a field that is there at all": replace(CASE, init={**CASE.init, "env": {}}),
    "a role": replace(CASE, init={"role": f"arn:aws:iam::{ACCOUNT_ID}:role/teams/SageMakerRole"}),
    "a base name": replace(CASE, init={**CASE.init, "base_job_name": "other"}),
    "a file's content": replace(CASE, files={**CASE.files, "data/a.csv": "A"}),
    "a file's key": replace(CASE, files={"script.py": "print(1)", "data/b.csv": "a"}),
    "one file more": replace(CASE, files={**CASE.files, "data/b.csv": "b"}),
    "a key of encryption": replace(CASE, runs=({**RUN, "kms_key": "alias/data"},)),
    "an output's name": replace(
        CASE, runs=({**RUN, "outputs": [processing_output(source="/opt/ml/processing/out", output_name="x")]},)
    ),
    "a bucket that isn't created": replace(CASE, buckets={f"sagemaker-us-west-2-{ACCOUNT_ID}": Bucket()}),
    "a region": replace(CASE, region="eu-central-1"),
}


@pytest.fixture(scope="module")
def sdk(bench: Bench) -> Wire:
    """What the SDK puts on the wire for the unchanged case."""
    return bench.compare(CASE)[0]


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
def test_comparison_notices(changed: Case, sdk: Wire, bench: Bench) -> None:
    ours = bench.ours(changed)
    assert ours.refusal == [], ours.message
    with pytest.raises(AssertionError):
        assert_equal(CASE, sdk, ours)


def test_comparison_notices_a_refusal(sdk: Wire, bench: Bench) -> None:
    ours = bench.ours(replace(CASE, denied=frozenset({"CreateProcessingJob"})))
    with pytest.raises(AssertionError, match="we refused the case"):
        assert_equal(CASE, sdk, ours)


def test_comparison_takes_equals_for_equal(sdk: Wire, bench: Bench) -> None:
    assert_equal(CASE, sdk, bench.ours(CASE))
