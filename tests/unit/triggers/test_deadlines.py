"""The moment at which a wait has to be over."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_processing.triggers.events import Deadline, earliest_deadline

STARTED = datetime(2026, 1, 1, tzinfo=timezone.utc)
IN_TWO_HOURS = timedelta(hours=2)


def test_without_a_bound_there_is_no_deadline():
    assert earliest_deadline(max_wait=None, execution_timeout=None, task_started=STARTED) is None


def test_execution_timeout_counts_from_the_tasks_start():
    deadline = earliest_deadline(max_wait=None, execution_timeout=IN_TWO_HOURS, task_started=STARTED)
    assert deadline == Deadline((STARTED + IN_TWO_HOURS).timestamp(), "execution_timeout")


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_wait": 60.0, "execution_timeout": None, "task_started": STARTED},
        {"max_wait": None, "execution_timeout": timedelta(seconds=60), "task_started": None},
    ],
    ids=["max_wait", "execution_timeout of a task whose start isn't known"],
)
def test_what_counts_from_now(parameters):
    before = time.time()
    deadline = earliest_deadline(**parameters)
    assert deadline is not None
    assert before + 60 <= deadline.at <= time.time() + 60
    assert 59 < deadline.seconds_left <= 60


@pytest.mark.parametrize(("max_wait", "bound"), [(60.0, "max_wait"), (7200.0, "execution_timeout")])
def test_the_earlier_of_two_bounds_counts(max_wait, bound):
    started = datetime.now(timezone.utc)
    deadline = earliest_deadline(max_wait=max_wait, execution_timeout=timedelta(hours=1), task_started=started)
    assert deadline is not None
    assert deadline.bound == bound


def test_a_deadline_that_has_passed_has_less_than_no_time_left():
    assert Deadline(time.time() - 10, "max_wait").seconds_left <= -10
