"""Hundreds of task instances whose calls fail and whose processes die have a job each."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.fake_sagemaker.plan import Plan
from benchmarks.fake_sagemaker.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import pytest

    from tests.integration.exactly_once.conftest import Outcome

INSTANCES = int(os.environ.get("CROWD_INSTANCES", "300"))
"""Mapped instances; `make soak` plays a thousand."""
SHORT = {"connect_timeout": 1, "read_timeout": 1, "retries": {"mode": "standard", "total_max_attempts": 3}}
TROUBLED = Plan(jobs=0, trouble=0.2, hold=1.5, latency=0.005, seconds=2)


def owner(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Whom a job's tags name."""
    return tuple(tags[f"airflow:{key}"] for key in ("dag-id", "run-id", "task-id", "map-index"))


def identity(instance: Mapping[str, Any]) -> tuple[str, ...]:
    return ("crowd", instance["run_id"], instance["task_id"], str(instance["map_index"]))


def test_each_of_hundreds_has_one_job(crowd: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]):
    """One call in five fails, and one process in ten is killed; nothing is left running, lost or made twice."""
    outcome = crowd(
        TROUBLED,
        instances=INSTANCES,
        doomed=0.1,
        parameters={"botocore_config": SHORT, "max_transient_seconds": 120},
    )
    with capsys.disabled():
        print(f"\n{outcome}")
    assert Counter(instance["state"] for instance in outcome.instances) == {"success": INSTANCES}
    assert Counter(job["status"] for job in outcome.jobs.values()) == {"Completed": INSTANCES}
    owners = {name: owner(job["tags"]) for name, job in outcome.jobs.items()}
    results = {instance["xcoms"]["return_value"]["job_name"]: identity(instance) for instance in outcome.instances}
    assert results == owners
    assert outcome.calls["troubles"].keys() == {trouble.value for trouble in Trouble}
    assert outcome.counts["workers killed"] >= outcome.counts["workers"] // 12  # a few of each tenth end first
    assert outcome.counts["triggerers killed"]
