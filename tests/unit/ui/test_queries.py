"""Filters, sort order and totals of jobs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.models import CurrentStatus
from airflow_sm_processing.ui.records import SORT_KEYS, Filters, sort_rows, total
from benchmarks.recorded_jobs import NOW

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("filters", "matched"),
    [
        (Filters(), True),
        (Filters(dag_id="SALES"), True),
        (Filters(dag_id="sales2"), False),
        (Filters(task_id="prep"), True),
        (Filters(task_id="x"), False),
        (Filters(name="-1A"), True),
        (Filters(name="%"), False),
        (Filters(since=NOW), True),
        (Filters(since=NOW + timedelta(seconds=1)), False),
        (Filters(until=NOW), False),
        (Filters(until=NOW + timedelta(seconds=1)), True),
    ],
)
def test_filters_look_anywhere_in_names_and_at_times(row_factory, filters: Filters, matched: bool):
    row = row_factory("prep-1a", dag_id="daily_sales", task_id="Prepare")
    assert filters.match(row) is matched


def test_a_filter_by_status_looks_at_the_reconciled_status(row_factory):
    reconciled = row_factory(status=JobStatus.IN_PROGRESS, reconciled=CurrentStatus("Unknown"))
    wanted = {
        status: Filters(statuses=frozenset({status})).match_status(reconciled) for status in ("Unknown", "InProgress")
    }
    assert wanted == {"Unknown": True, "InProgress": False}


@pytest.mark.parametrize("sort", list(SORT_KEYS))
def test_order_has_those_without_a_value_last_either_way(row_factory, sort: str):
    low = row_factory("a", dag_id="a", task_id="a", ended_at=NOW, duration_seconds=1.0, instance_seconds=1.0)
    high = row_factory(
        "b",
        dag_id="b",
        task_id="b",
        status=JobStatus.FAILED,
        submitted_at=NOW + HOUR,
        ended_at=NOW + HOUR,
        duration_seconds=2.0,
        instance_seconds=2.0,
    )
    both = [low, high]
    assert sort_rows(both, sort, descending=False) == [low, high]
    assert sort_rows(both, sort, descending=True) == [high, low]
    if sort in {"ended_at", "duration_seconds", "instance_seconds"}:
        none = row_factory("none")
        assert [sort_rows([none, *both], sort, descending=way)[-1] for way in (True, False)] == [none, none]


def test_among_equals_the_newest_comes_first(row_factory):
    old, new = row_factory("old"), row_factory("new", submitted_at=NOW + HOUR)
    assert sort_rows([old, new], "dag_id", descending=True) == [new, old]
    assert sort_rows([old, new], "dag_id", descending=False) == [new, old]


def test_totals_count_by_status_and_dag(row_factory):
    rows = [
        row_factory(instance_seconds=10.0),
        row_factory(status=JobStatus.FAILED, instance_seconds=5.0, dag_id="other"),
        row_factory(status=JobStatus.STOPPED),
        row_factory(status=JobStatus.IN_PROGRESS),
        row_factory(status=JobStatus.STOPPING),
    ]
    rows.append(row_factory(status=JobStatus.IN_PROGRESS, reconciled=CurrentStatus("Unknown")))
    found = total(rows, since=None, until=None, offset=timedelta()).model_dump(mode="json")
    every = {"jobs": 6, "completed": 1, "failed": 1, "stopped": 1, "running": 2, "unknown": 1, "instance_seconds": 15.0}
    others = {"jobs": 1, "completed": 0, "failed": 1, "stopped": 0, "running": 0, "unknown": 0, "instance_seconds": 5.0}
    rest = {name: every[name] - others[name] for name in every}
    assert found == {
        **every,
        "by_dag": [{"dag_id": "dag", **rest}, {"dag_id": "other", **others}],
        "buckets": [{"start": "2026-11-20T12:00:00+00:00", **every}],
        "bucket_seconds": 3600,
    }


@pytest.mark.parametrize(
    ("period", "seconds", "count"),
    [
        (timedelta(hours=1), 3600, 2),
        (timedelta(days=3), 3600, 73),
        (timedelta(days=7), 3 * 3600, 57),
        (timedelta(days=30), 86400, 31),
        (timedelta(days=365), 7 * 86400, 53),
        (timedelta(days=3650), 30 * 86400, None),
    ],
)
def test_a_period_has_at_most_ninety_parts(row_factory, period: timedelta, seconds: int, count: int | None):
    found = total([row_factory()], since=NOW - period, until=NOW, offset=timedelta())
    assert found.bucket_seconds == seconds
    assert len(found.buckets) == (count or 90)
    assert sum(bucket.jobs for bucket in found.buckets) == 1


def test_days_begin_at_the_users_midnight(row_factory):
    rows = [row_factory(submitted_at=datetime(2026, 11, 20, hour, 30, tzinfo=timezone.utc)) for hour in (21, 22)]
    found = total(rows, since=NOW - timedelta(days=30), until=NOW + timedelta(days=1), offset=timedelta(hours=2))
    filled = {bucket.start.isoformat(): bucket.jobs for bucket in found.buckets if bucket.jobs}
    assert filled == {"2026-11-19T22:00:00+00:00": 1, "2026-11-20T22:00:00+00:00": 1}


def test_no_jobs_have_no_buckets():
    found = total([], since=None, until=None, offset=timedelta())
    assert (found.jobs, found.by_dag, found.buckets) == (0, [], [])
