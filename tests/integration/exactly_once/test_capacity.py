"""A mapped task gets all its jobs through an account that has room for few."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.fake_sagemaker.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.integration.exactly_once.conftest import Outcome

INSTANCES = int(os.environ.get("CAPACITY_INSTANCES", "40"))
"""Mapped instances; 200 take six minutes, most of them asleep, for the account makes one job a second."""
NARROW = Plan(jobs=0, running=10, creates=1, seconds=6, latency=0.005)
_REASON = re.compile(
    r"AWS has no capacity for the job; waiting for \d+ s of at most \d+ s: "
    r".*(ThrottlingException|ResourceLimitExceeded)"
)


def test_all_get_their_jobs_one_a_second_ten_at_a_time(
    crowd: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
):
    outcome = crowd(NARROW, instances=INSTANCES, mapped=True, at_once=32)
    with capsys.disabled():
        print(f"\n{outcome}")
    assert Counter(instance["state"] for instance in outcome.instances) == {"success": INSTANCES}
    assert Counter(job["status"] for job in outcome.jobs.values()) == {"Completed": INSTANCES}
    assert {job["tags"]["airflow:map-index"] for job in outcome.jobs.values()} == set(map(str, range(INSTANCES)))
    assert {instance["tries"] for instance in outcome.instances} == {1}
    for instance in outcome.instances:
        passes = instance["stays"] - 2  # the first, and the one that ends the task
        assert len(_REASON.findall(outcome.log_of(instance))) >= passes
    passes = sum(instance["stays"] for instance in outcome.instances)
    assert passes <= 6 * INSTANCES
