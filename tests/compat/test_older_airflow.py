"""Older Airflows, in environments of their own: real runs, since their own API is what differs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .dag_tested import dag_tested

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def log(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `airflow dags test` of the DAG prints."""
    with dag_tested(commands, tmp_path_factory.mktemp("older"), dags="dags", dag_id="older") as log:
        yield log.read_text()


def test_every_task_ends_as_its_job(log: str):
    ended = re.findall(r"new_state=(success|failed)", log)
    assert sorted(ended) == ["failed", "failed", "success", "success", "success", "success"], log


@pytest.mark.parametrize(
    "text",
    [
        "JobFailedError: Processing job",
        "FailureReason: AlgorithmError: , exit code: 3",
        "TaskDefinitionError: 1 problem",
        "job_name='not_legal': must match",
    ],
)
def test_its_log_says_what_happened(log: str, text: str):
    assert text in log
