"""The recorded jobs: read from Airflow's database, checked, and made into the list's rows and a job's page."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui import JOB_TAB
from airflow_sm_processing.ui.models import (
    UNKNOWN,
    Bucket,
    DagTotals,
    Job,
    JobRow,
    JobTotals,
    StopOption,
    TaskInstanceKey,
    TaskState,
    parse_details,
    parse_record,
    parse_summary,
    reconcile,
    stop_option,
)
from airflow_sm_processing.ui.sanitize import MalformedRecordError
from airflow_sm_processing.ui.tables import RowKey, record_tables, select_details, select_task_states
from airflow_sm_processing.xcoms import RECORD_KEY, STORED_RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from airflow_sm_processing.ui.models import JobDetailsWithLog
    from airflow_sm_processing.ui.tables import RecordTable, RowText, TableVersion

    Cache = dict[RowKey, "tuple[datetime, JobRow | UnreadableRecord]"]

__all__ = [
    "SORT_KEYS",
    "Filters",
    "RecordReader",
    "Records",
    "TaskInstanceJobs",
    "UnreadableRecord",
    "filter_rows",
    "load_jobs",
    "load_task_instance_jobs",
    "parse_row",
    "read_details",
    "read_task_instance",
    "sort_rows",
    "task_instance_key",
    "task_url",
    "total",
]


_MAX_BY_KEY = 500  # rows to select by their keys; if there are more, by the time when they were written
_SNAPSHOT_SECONDS = 30.0  # how long a change that a `TableVersion` misses may stay hidden


@dataclass(frozen=True)
class UnreadableRecord:
    """A record that a task couldn't have written."""

    task_instance: TaskInstanceKey


@dataclass(frozen=True)
class Records:
    """The recorded jobs that were found."""

    rows: Sequence[JobRow]
    unreadable: Sequence[UnreadableRecord] = ()
    truncated: bool = False
    """Whether there are older records that weren't read."""

    def of_dags(self, dag_ids: Container[str]) -> Records:
        """Return the records of these DAGs."""
        return Records(
            [row for row in self.rows if row.task_instance.dag_id in dag_ids],
            [item for item in self.unreadable if item.task_instance.dag_id in dag_ids],
            self.truncated,
        )


@dataclass(frozen=True)
class _Snapshot:
    versions: Sequence[TableVersion]
    taken_at: float
    records: Records


@dataclass
class RecordReader:
    """Reads all records, and each again only after it was written again. Thread-safe."""

    limit: int = 100_000
    """How many of each table's records to read, the newest: each takes about a kilobyte of memory."""
    clock: Callable[[], float] = time.monotonic
    _caches: dict[bool, Cache] = field(default_factory=dict)
    _snapshot: _Snapshot | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, session: Session, dag_ids: Container[str]) -> Records:
        """Return the recorded jobs of these DAGs."""
        with self._lock:
            return self._current(session).of_dags(dag_ids)

    def _current(self, session: Session) -> Records:
        versions = [table.select_version(session) for table in record_tables()]
        snapshot, now = self._snapshot, self.clock()
        if snapshot is None or snapshot.versions != versions or now - snapshot.taken_at > _SNAPSHOT_SECONDS:
            with _garbage_collection_paused():
                snapshot = _Snapshot(versions, now, self._read_all(session))
            self._snapshot = snapshot
        return snapshot.records

    def _read_all(self, session: Session) -> Records:
        keys_by_table = {table.stored: table.select_keys(session, self.limit) for table in record_tables()}
        current: Mapping[RowKey, JobRow | UnreadableRecord] = {}
        stored: Mapping[RowKey, JobRow | UnreadableRecord] = {}
        for table in record_tables():
            keys = keys_by_table[table.stored]
            if table.stored:
                in_xcom = {key[:3]: f"{STORED_RECORD}{_job_name(row)}" for key, row in current.items()}
                keys = {key: written_at for key, written_at in keys.items() if in_xcom.get(key[:3]) != key.key}
                stored = self._read_table(session, table, keys)
            else:
                current = self._read_table(session, table, keys)
        truncated = any(len(keys) >= self.limit for keys in keys_by_table.values())
        return replace(_merge(current.values(), stored.values()), truncated=truncated)

    def _read_table(
        self, session: Session, table: RecordTable, keys: Mapping[RowKey, datetime]
    ) -> Mapping[RowKey, JobRow | UnreadableRecord]:
        old = self._caches.get(table.stored, {})
        cache = {key: old[key] for key, written_at in keys.items() if key in old and old[key][0] == written_at}
        missing = {key: written_at for key, written_at in keys.items() if key not in cache}
        if missing:
            by_key = len(missing) <= _MAX_BY_KEY
            texts = (
                table.select_rows(session, missing) if by_key else table.select_since(session, min(missing.values()))
            )
            cache |= {item.key: (item.written_at, _parse(item, table)) for item in texts if item.key in missing}
        self._caches[table.stored] = cache
        return {key: row for key, (_, row) in cache.items()}


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause the garbage collector, which would double the time by scanning tens of thousands of new rows."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def read_task_instance(session: Session, key: TaskInstanceKey) -> Records:
    """Return the recorded jobs of one task instance."""
    current: list[JobRow | UnreadableRecord] = []
    stored: list[JobRow | UnreadableRecord] = []
    for table in record_tables():
        rows = stored if table.stored else current
        rows += [_parse(item, table) for item in table.select_task_instance(session, key)]
    names = {_job_name(row) for row in current}
    return _merge(current, [row for row in stored if _job_name(row) not in names])


def parse_row(task_instance: TaskInstanceKey, text: str, *, stored: bool) -> JobRow:
    """Parse a record.

    Raises:
        MalformedRecordError: It isn't a record.
    """
    return JobRow(task_instance=task_instance, stored=stored, **vars(parse_summary(text)))


def _parse(item: RowText, table: RecordTable) -> JobRow | UnreadableRecord:
    if item.text is None:
        return UnreadableRecord(item.task_instance)
    try:
        row = parse_row(item.task_instance, item.text, stored=table.stored)
    except MalformedRecordError:
        return UnreadableRecord(item.task_instance)
    # A stored record is selected again by the job's name in it, which may hold characters that no database accepts.
    has_own_key = not table.stored or item.key.key == f"{STORED_RECORD}{row.job_name}"
    return row if has_own_key else UnreadableRecord(item.task_instance)


def _job_name(row: JobRow | UnreadableRecord) -> str | None:
    return row.job_name if isinstance(row, JobRow) else None


def _merge(current: Iterable[JobRow | UnreadableRecord], stored: Iterable[JobRow | UnreadableRecord]) -> Records:
    """Add stored records of earlier jobs, and of current jobs whose XComs a custom backend keeps elsewhere."""
    rows = {row.task_instance: row for row in current}
    earlier: list[JobRow] = []
    unreadable: list[UnreadableRecord] = []
    for row in sorted(stored, key=_newest_first):
        if isinstance(row, UnreadableRecord):
            unreadable.append(row)
        elif isinstance(rows.get(row.task_instance), UnreadableRecord):
            rows[row.task_instance] = row
        else:
            earlier.append(replace(row, superseded=True))
    unreadable += [row for row in rows.values() if isinstance(row, UnreadableRecord)]
    return Records([*(row for row in rows.values() if isinstance(row, JobRow)), *earlier], unreadable)


def _newest_first(row: JobRow | UnreadableRecord) -> float:
    return -row.submitted_at.timestamp() if isinstance(row, JobRow) else 0.0


_MAX_EARLIER = 100


def filter_rows(session: Session, rows: Iterable[JobRow], filters: Filters) -> list[JobRow]:
    """Return the rows that match the filters, reconciled."""
    matching = _reconcile(session, [row for row in rows if filters.match(row)])
    return [row for row in matching if filters.match_status(row)]


def _reconcile(session: Session, rows: Sequence[JobRow]) -> list[JobRow]:
    """Reconcile rows with their task instances, which are selected only where they make a difference."""
    uncertain = {row.task_instance for row in rows if row.awaited and not row.status.is_terminal}
    states = select_task_states(session, uncertain)
    return [reconcile(row, states.get(row.task_instance)) for row in rows]


def load_jobs(session: Session, rows: Sequence[JobRow], base: str) -> list[Job]:
    """Return jobs with their full records, without those whose records were deleted meanwhile.

    Args:
        session: A session on Airflow's database.
        rows: The jobs.
        base: The path of Airflow's base URL, without a slash at its end.
    """
    states = select_task_states(session, {row.task_instance for row in rows})
    texts: dict[tuple[bool, RowKey], str | None] = {}
    for table in record_tables():
        keys = [_row_key(row) for row in rows if row.stored == table.stored]
        texts |= {(table.stored, item.key): item.text for item in table.select_rows(session, keys)}
    jobs = [_job(row, texts.get((row.stored, _row_key(row))), states.get(row.task_instance), base=base) for row in rows]
    return [job for job in jobs if job is not None]


def _row_key(row: JobRow) -> RowKey:
    key = f"{STORED_RECORD}{row.job_name}" if row.stored else RECORD_KEY
    return RowKey(row.task_instance.dag_run, row.task_instance.task_id, row.task_instance.map_index, key)


def _job(row: JobRow, text: str | None, state: TaskState | None, *, base: str) -> Job | None:
    if text is None:
        return None
    try:
        record = parse_record(text)
    except MalformedRecordError:
        return None
    key = row.task_instance
    fields = {
        **dict(record),
        "status": row.current_status,
        "status_note": row.status_note,
        "dag_id": key.dag_id,
        "run_id": key.run_id,
        "task_id": key.task_id,
        "map_index": key.map_index,
        "superseded": row.superseded,
        "dag_url": f"{base}/dags/{quote(key.dag_id, safe='')}",
        "task_url": task_url(key, base),
        "tab_url": f"{task_url(key, base)}/plugin/{JOB_TAB}",
        "task_state": state and state.state,
    }
    return Job.model_validate(fields)


def task_url(key: TaskInstanceKey, base: str) -> str:
    """Return the address of a task instance in Airflow's UI."""
    dag_id, run_id, task_id = (quote(part, safe="") for part in (key.dag_id, key.run_id, key.task_id))
    mapped = f"/mapped/{key.map_index}" if key.map_index >= 0 else ""
    return f"{base}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}"


@dataclass(frozen=True)
class TaskInstanceJobs:
    """A task instance's current job, if it has one, and those of earlier tries."""

    row: JobRow | None
    """The current job's row."""
    job: Job | None
    """The current job."""
    earlier: list[Job]
    """Earlier jobs, newest first; at most a hundred."""
    task: TaskState

    def stop_option(self, job: Job | None, *, live_status: bool) -> StopOption:
        """Return how the current job can be stopped; `job` is that job, with its status from SageMaker if asked."""
        if self.row is None or job is None:
            return StopOption(why_not="The task has no processing job.")
        return stop_option(self.row, job, self.task, live_status=live_status)


def task_instance_key(task: TaskInstance) -> TaskInstanceKey:
    """Return the key of a task instance."""
    return TaskInstanceKey(task.dag_run.id, task.dag_id, task.run_id, task.task_id, task.map_index)


def load_task_instance_jobs(session: Session, task: TaskInstance, base: str) -> TaskInstanceJobs:
    """Return the jobs of a task instance."""
    rows = _reconcile(session, read_task_instance(session, task_instance_key(task)).rows)
    rows_newest_first = sort_rows(rows, "submitted_at", descending=True)
    jobs = load_jobs(session, rows_newest_first, base)
    return TaskInstanceJobs(
        row=next((row for row in rows_newest_first if not row.superseded), None),
        job=next((job for job in jobs if not job.superseded), None),
        earlier=[job for job in jobs if job.superseded][:_MAX_EARLIER],
        task=TaskState(task.state, task.try_number, has_process=_has_process(session, task)),
    )


def _has_process(session: Session, task: TaskInstance) -> bool:
    """Return whether a process runs the task: a deferred task has none until a triggerer picks its trigger up."""
    if task.state != TaskInstanceState.DEFERRED:
        return task.state == TaskInstanceState.RUNNING
    return session.scalar(select(Trigger.triggerer_id).where(Trigger.id == task.trigger_id)) is not None


def read_details(session: Session, key: TaskInstanceKey, job_name: str | None) -> JobDetailsWithLog | None:
    """Return the details of a task instance's current job, or None if there are none, or they are another job's."""
    text = select_details(session, key)
    if text is None:
        return None
    try:
        details = parse_details(text)
    except MalformedRecordError:
        return None
    return details if details.job_name == job_name else None


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
