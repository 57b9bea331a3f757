"""Small files of a job's outputs become XComs of its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dag_runs import Run

VALUES = {
    "metrics": {"accuracy": 0.75, "labels": ["é"]},
    "table": [{"name": "ä", "count": "1"}, {"name": "b, c", "count": "2"}],
    "note": "well done\n",
}


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run]) -> Run:
    return run_dag("results")


@pytest.mark.parametrize("task", ["read_wait", "read_defer", "no_worker"])
def test_each_file_is_an_xcom(finished: Run, task: str):
    xcoms = finished.xcoms[task]
    assert {name: xcoms.get(name) for name in VALUES} == VALUES


def test_a_file_is_a_value_for_the_next_task(finished: Run):
    assert finished.xcoms["doubled"]["return_value"] == 1.5


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("missing", "/output/evaluation/deep/metric.json; its folder has metrics.json, note.txt, rows.csv"),
        ("broken", "is no proper json in UTF-8: NaN isn't JSON"),
        ("too_large", "and max_result_file_bytes is 10"),
    ],
)
def test_a_file_that_can_not_be_read_fails_the_task_at_once_and_says_why(finished: Run, task: str, reason: str):
    assert (finished.states[task], finished.tries[task]) == ("failed", 1)
    assert reason in finished.logs[task]


def test_no_file_is_pushed_if_one_can_not_be_read(finished: Run):
    for task in ("missing", "broken", "too_large"):
        assert not finished.xcoms[task].keys() & VALUES.keys()


def test_a_job_whose_files_can_not_be_read_keeps_its_record(finished: Run):
    assert finished.xcoms["broken"]["_job"]["status"] == "Completed"
