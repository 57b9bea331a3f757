"""All recorded jobs, one row for each."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_sm_processing.operators.records import STORED_RECORD
from airflow_sm_processing.ui.job_status import JobRow, TaskInstanceKey
from airflow_sm_processing.ui.models import parse_summary
from airflow_sm_processing.ui.sanitize import MalformedRecordError
from airflow_sm_processing.ui.tables import record_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from airflow_sm_processing.ui.tables import RecordTable, RowKey, RowText, TableVersion

    Cache = dict[RowKey, "tuple[datetime, JobRow | UnreadableRecord]"]

__all__ = ["RecordReader", "Records", "UnreadableRecord", "parse_row", "read_task_instance"]

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
    """Reads all records, and each of them again only after it was written again. Thread-safe."""

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
