"""Crowds of task instances on an account of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.exactly_once.order import Order
from tests.time_limits import HANGS_AFTER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.fake_sagemaker.plan import Plan

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Outcome:
    """What became of a crowd."""

    seconds: float
    counts: Counter[str]
    """Of processes, and what befell them."""
    instances: list[dict[str, Any]]
    jobs: dict[str, dict[str, Any]]
    """Status, tags and moment of creation of each job of the account, by name."""
    calls: dict[str, Any]
    logs: Path

    def log_of(self, instance: dict[str, Any]) -> str:
        """Return what a task instance's processes said."""
        return (self.logs / f"{instance['task_id']}-{instance['number']}.log").read_text()

    def __str__(self) -> str:
        stays = Counter(instance["stays"] for instance in self.instances)
        operations = {name: counted["accepted"] for name, counted in self.calls["operations"].items()}
        throttled = sum(counted["throttled"] for counted in self.calls["operations"].values())
        return (
            f"{len(self.instances)} task instances, {len(self.jobs)} jobs, {self.seconds:.0f} s\n"
            f"calls carried out: {operations}; throttled for their rate: {throttled}\n"
            f"calls that failed: {dict(self.calls['troubles'])}\n"
            f"processes: {dict(self.counts)}\n"
            f"workers' processes of a task instance: {dict(sorted(stays.items()))}"
        )


@contextmanager
def served(plan: Plan) -> Iterator[int]:
    """Serve an account, and return its port."""
    command = [sys.executable, "-m", "benchmarks.fake_sagemaker", plan.to_json()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(HANGS_AFTER_SECONDS)


@pytest.fixture
def crowd(tmp_path: Path) -> Callable[..., Outcome]:
    """Drives a crowd over an account of that plan, to its end."""

    def drive(plan: Plan, **order: Any) -> Outcome:
        with served(plan) as port:
            report = _driven(Order(logs=str(tmp_path), **order), port)
            jobs, calls = (_control(port, path) for path in ("jobs", "calls"))
        counts = Counter(report["counts"])
        return Outcome(report["seconds"], counts, report["instances"], jobs, calls, tmp_path)

    return drive


def _driven(order: Order, port: int) -> dict[str, Any]:
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    command = [sys.executable, "-m", "tests.integration.exactly_once", order.to_json()]
    done = subprocess.run(command, check=False, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _control(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/control/{path}") as answer:
        return json.load(answer)
