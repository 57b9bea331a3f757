"""The fake account of the benchmarks: its parts with a clock of the test's own, and the whole over HTTP."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.fake_sagemaker.jobs import Jobs
from benchmarks.fake_sagemaker.logs import Logs
from benchmarks.fake_sagemaker.plan import Plan
from benchmarks.fake_sagemaker.streams import Streams
from tests.integration.benchmarks.accounts import NOW, Account, Server
from tests.time_limits import HANGS_AFTER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[3]


@pytest.fixture
def account_factory() -> Callable[..., Account]:
    """Makes accounts whose jobs were started at `NOW`, from a plan's fields."""

    def make(**fields: Any) -> Account:
        plan = Plan(**fields)
        jobs = Jobs(plan, NOW)
        jobs.start(NOW)
        return Account(jobs, Logs(Streams(jobs, plan)), plan)

    return make


@pytest.fixture
def server_factory() -> Callable[..., AbstractContextManager[Server]]:
    """Serves a plan's fields while the context lasts."""

    @contextmanager
    def serve(**fields: Any) -> Iterator[Server]:
        command = [sys.executable, "-m", "benchmarks.fake_sagemaker", Plan(**fields).to_json()]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            try:
                yield Server(int(process.stdout.readline()))
            finally:
                process.stdin.close()
                process.wait(HANGS_AFTER_SECONDS)

    return serve
