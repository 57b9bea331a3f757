"""Filters, sort order and totals of jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.job_status import UNKNOWN
from airflow_sm_processing.ui.models import Bucket, DagTotals, JobTotals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_sm_processing.ui.job_status import JobRow

__all__ = ["SORT_KEYS", "Filters", "sort_rows", "total"]

SORT_KEYS: dict[str, Callable[[JobRow], Any]] = {
    "submitted_at": attrgetter("submitted_at"),
    "ended_at": attrgetter("ended_at"),
    "duration_seconds": attrgetter("duration_seconds"),
    "instance_seconds": attrgetter("instance_seconds"),
    "job_name": attrgetter("job_name"),
    "status": attrgetter("current_status"),
    "dag_id": attrgetter("task_instance.dag_id"),
    "task_id": attrgetter("task_instance.task_id"),
}
_HOUR, _DAY = 3_600, 86_400
_BUCKET_SECONDS = (_HOUR, 3 * _HOUR, 6 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
_MAX_BUCKETS = 90
_MAX_PERIOD_SECONDS = (_MAX_BUCKETS - 1) * _BUCKET_SECONDS[-1]
_COLUMNS = {
    JobStatus.COMPLETED.value: "completed",
    JobStatus.FAILED.value: "failed",
    JobStatus.STOPPED.value: "stopped",
    JobStatus.IN_PROGRESS.value: "running",
    JobStatus.STOPPING.value: "running",
    UNKNOWN: "unknown",
}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The jobs to return. Text matches anywhere in a name, in upper or lower case."""

    statuses: frozenset[str] = frozenset()
    """Any status if empty."""
    dag_id: str = ""
    task_id: str = ""
    name: str = ""
    since: datetime | None = None
    """The earliest time of submission."""
    until: datetime | None = None
    """The time before which jobs were submitted."""

    def match(self, row: JobRow) -> bool:
        """Return whether a job matches all filters but the one by status."""
        return (
            (self.since is None or row.submitted_at >= self.since)
            and (self.until is None or row.submitted_at < self.until)
            and self.dag_id.casefold() in row.task_instance.dag_id.casefold()
            and self.task_id.casefold() in row.task_instance.task_id.casefold()
            and self.name.casefold() in row.job_name.casefold()
        )

    def match_status(self, row: JobRow) -> bool:
        """Return whether a reconciled job matches the filter by status."""
        return not self.statuses or row.current_status in self.statuses


def sort_rows(rows: Iterable[JobRow], key: str, *, descending: bool) -> Sequence[JobRow]:
    """Sort by a key of `SORT_KEYS`. Rows without a value come last in either order; equal rows are newest first."""
    newest_first = sorted(rows, key=SORT_KEYS["submitted_at"], reverse=True)
    value = SORT_KEYS[key]
    with_value = sorted((row for row in newest_first if value(row) is not None), key=value, reverse=descending)
    return [*with_value, *(row for row in newest_first if value(row) is None)]


@dataclass
class _Sums:
    jobs: int = 0
    instance_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, row: JobRow) -> None:
        self.jobs += 1
        self.instance_seconds += row.instance_seconds or 0.0
        self.counts[_COLUMNS[row.current_status]] += 1

    def fields(self) -> dict[str, Any]:
        counts = {name: self.counts[name] for name in dict.fromkeys(_COLUMNS.values())}
        return {"jobs": self.jobs, **counts, "instance_seconds": self.instance_seconds}


def total(rows: Sequence[JobRow], *, since: datetime | None, until: datetime | None, offset: timedelta) -> JobTotals:
    """Sum jobs: all of them, by DAG, and by time of submission in at most 90 equal parts of a period.

    Args:
        rows: The jobs.
        since: The start of the period; the first job's submission if None.
        until: The end of the period; the last job's submission if None.
        offset: The offset of the user's clock from UTC, as days begin at the user's midnight.
    """
    everything = _Sums()
    by_dag: dict[str, _Sums] = defaultdict(_Sums)
    for row in rows:
        everything.add(row)
        by_dag[row.task_instance.dag_id].add(row)
    largest_first = sorted(by_dag.items(), key=lambda item: (-item[1].instance_seconds, -item[1].jobs, item[0]))
    seconds, buckets = _buckets(rows, since, until, offset)
    return JobTotals(
        **everything.fields(),
        by_dag=[DagTotals(dag_id=dag_id, **sums.fields()) for dag_id, sums in largest_first],
        buckets=buckets,
        bucket_seconds=seconds,
    )


def _buckets(
    rows: Sequence[JobRow], since: datetime | None, until: datetime | None, offset: timedelta
) -> tuple[int, list[Bucket]]:
    times = [row.submitted_at for row in rows]
    first, last = since or min(times, default=None), until or max(times, default=None)
    if first is None or last is None or last < first:
        return _BUCKET_SECONDS[0], []
    shift = offset.total_seconds()
    end = last.timestamp() + shift
    start = max(first.timestamp() + shift, end - _MAX_PERIOD_SECONDS)
    seconds = next(size for size in _BUCKET_SECONDS if end // size - start // size < _MAX_BUCKETS)
    numbers = range(int(start // seconds), int(end // seconds) + 1)
    sums = {number: _Sums() for number in numbers}
    for row in rows:
        number = int((row.submitted_at.timestamp() + shift) // seconds)
        sums[min(max(number, numbers[0]), numbers[-1])].add(row)
    return seconds, [
        Bucket(start=datetime.fromtimestamp(number * seconds - shift, timezone.utc), **item.fields())
        for number, item in sums.items()
    ]
