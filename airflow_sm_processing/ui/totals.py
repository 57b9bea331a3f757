"""Sums of jobs over a period, as a chart shows them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.trust import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_sm_processing.ui.rows import JobRow

__all__ = ["totals"]

_HOUR, _DAY = 3_600, 86_400
_BUCKETS = (_HOUR, 3 * _HOUR, 6 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)  # seconds
_MOST_BUCKETS = 90
_LONGEST = (_MOST_BUCKETS - 1) * _BUCKETS[-1]
_COLUMNS = {
    JobStatus.COMPLETED.value: "completed",
    JobStatus.FAILED.value: "failed",
    JobStatus.STOPPED.value: "stopped",
    JobStatus.IN_PROGRESS.value: "running",
    JobStatus.STOPPING.value: "running",
    UNKNOWN: "unknown",
}


@dataclass
class _Sum:
    jobs: int = 0
    instance_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, row: JobRow) -> None:
        self.jobs += 1
        self.instance_seconds += row.instance_seconds or 0.0
        self.counts[_COLUMNS[row.status_now]] += 1

    def shown(self) -> dict[str, Any]:
        counts = {name: self.counts[name] for name in dict.fromkeys(_COLUMNS.values())}
        return {"jobs": self.jobs, **counts, "instance_seconds": self.instance_seconds}


def totals(
    rows: Sequence[JobRow], *, since: datetime | None, until: datetime | None, offset: timedelta
) -> dict[str, Any]:
    """Sum jobs up: all, by DAG, and by the time of submission in at most 90 equal parts of the period.

    Args:
        rows: The jobs.
        since: The period's start; the first job's submission if None.
        until: The period's end; the last job's submission if None.
        offset: Of the user's clock from UTC: days begin at his midnight.
    """
    every = _sum(rows)
    by_dag: dict[str, _Sum] = defaultdict(_Sum)
    for row in rows:
        by_dag[row.place.dag_id].add(row)
    busiest = sorted(by_dag.items(), key=lambda item: (-item[1].instance_seconds, -item[1].jobs, item[0]))
    seconds, buckets = _buckets(rows, since, until, offset)
    return {
        **every.shown(),
        "by_dag": [{"dag_id": dag_id, **summed.shown()} for dag_id, summed in busiest],
        "buckets": buckets,
        "bucket_seconds": seconds,
    }


def _sum(rows: Iterable[JobRow]) -> _Sum:
    summed = _Sum()
    for row in rows:
        summed.add(row)
    return summed


def _buckets(
    rows: Sequence[JobRow], since: datetime | None, until: datetime | None, offset: timedelta
) -> tuple[int, list[dict[str, Any]]]:
    times = [row.submitted_at for row in rows]
    first, last = since or min(times, default=None), until or max(times, default=None)
    if first is None or last is None or last < first:
        return _BUCKETS[0], []
    shift = offset.total_seconds()
    end = last.timestamp() + shift
    start = max(first.timestamp() + shift, end - _LONGEST)
    seconds = next(size for size in _BUCKETS if end // size - start // size < _MOST_BUCKETS)
    numbers = range(int(start // seconds), int(end // seconds) + 1)
    sums = {number: _Sum() for number in numbers}
    for row in rows:
        number = int((row.submitted_at.timestamp() + shift) // seconds)
        sums[min(max(number, numbers[0]), numbers[-1])].add(row)
    return seconds, [{"start": _start(number * seconds - shift), **summed.shown()} for number, summed in sums.items()]


def _start(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
