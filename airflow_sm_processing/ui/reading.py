"""All recorded jobs, one row for each."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_sm_processing.operators.recording import STORED_RECORD
from airflow_sm_processing.ui.hostile import MalformedError
from airflow_sm_processing.ui.rows import JobRow, Place, row_of
from airflow_sm_processing.ui.tables import record_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from airflow_sm_processing.ui.tables import Content, Key, Mark, Table

    Kept = dict[Key, "tuple[datetime, JobRow | Unreadable]"]

__all__ = ["Reader", "Recorded", "read_task"]

_FEW = 500  # rows that are asked for by their keys; more of them by their time
_TRUSTED_SECONDS = 30.0  # what two transactions that overlap can hide from a mark


@dataclass(frozen=True)
class Unreadable:
    """A record that isn't what tasks write."""

    place: Place


@dataclass(frozen=True)
class Recorded:
    """What was found."""

    rows: Sequence[JobRow]
    unreadable: Sequence[Unreadable] = ()
    is_cut: bool = False
    """Whether there are older records that weren't read."""

    def of_dags(self, dag_ids: Container[str]) -> Recorded:
        """Give what belongs to these DAGs."""
        return Recorded(
            [row for row in self.rows if row.place.dag_id in dag_ids],
            [item for item in self.unreadable if item.place.dag_id in dag_ids],
            self.is_cut,
        )


@dataclass(frozen=True)
class _Snapshot:
    marks: Sequence[Mark]
    taken_at: float
    recorded: Recorded


@dataclass
class Reader:
    """Reads all records, and each again only when it was written again; may be used by several threads."""

    most: int = 100_000
    """Records of each table, the newest: each takes about a kilobyte of memory."""
    clock: Callable[[], float] = time.monotonic
    _kept: dict[bool, Kept] = field(default_factory=dict)
    _snapshot: _Snapshot | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, session: Session, dag_ids: Container[str]) -> Recorded:
        """Give the jobs of these DAGs."""
        with self._lock:
            return self._present(session).of_dags(dag_ids)

    def _present(self, session: Session) -> Recorded:
        marks = [table.mark(session) for table in record_tables()]
        known, now = self._snapshot, self.clock()
        if known is None or known.marks != marks or now - known.taken_at > _TRUSTED_SECONDS:
            with _no_garbage_collection():
                known = _Snapshot(marks, now, self._read_anew(session))
            self._snapshot = known
        return known.recorded

    def _read_anew(self, session: Session) -> Recorded:
        listings = {table.stored: table.listing(session, self.most) for table in record_tables()}
        present: Mapping[Key, JobRow | Unreadable] = {}
        others: Mapping[Key, JobRow | Unreadable] = {}
        for table in record_tables():
            listing = listings[table.stored]
            if table.stored:
                names = {key[:3]: f"{STORED_RECORD}{_name(row)}" for key, row in present.items()}
                listing = {key: at for key, at in listing.items() if names.get(key[:3]) != key.key}
                others = self._rows(session, table, listing)
            else:
                present = self._rows(session, table, listing)
        is_cut = any(len(listing) >= self.most for listing in listings.values())
        return replace(_united(present.values(), others.values()), is_cut=is_cut)

    def _rows(
        self, session: Session, table: Table, listing: Mapping[Key, datetime]
    ) -> Mapping[Key, JobRow | Unreadable]:
        old = self._kept.get(table.stored, {})
        kept = {key: old[key] for key, written_at in listing.items() if key in old and old[key][0] == written_at}
        missing = {key: written_at for key, written_at in listing.items() if key not in kept}
        if missing:
            few = len(missing) <= _FEW
            contents = table.at(session, missing) if few else table.since(session, min(missing.values()))
            kept |= {item.key: (item.written_at, _parsed(item, table)) for item in contents if item.key in missing}
        self._kept[table.stored] = kept
        return {key: row for key, (_, row) in kept.items()}


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among tens of thousands of new rows, which are none: it doubles the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def read_task(session: Session, place: Place) -> Recorded:
    """Give the jobs of one task instance."""
    xcoms: list[JobRow | Unreadable] = []
    stored: list[JobRow | Unreadable] = []
    for table in record_tables():
        rows = stored if table.stored else xcoms
        rows += [_parsed(item, table) for item in table.of_task(session, place)]
    names = {_name(row) for row in xcoms}
    return _united(xcoms, [row for row in stored if _name(row) not in names])


def _parsed(item: Content, table: Table) -> JobRow | Unreadable:
    if item.text is None:
        return Unreadable(item.place)
    try:
        row = row_of(item.place, item.text, stored=table.stored)
    except MalformedError:
        return Unreadable(item.place)
    # The record is asked for again by its name, which JSON can make of characters that no database takes.
    named_so = not table.stored or item.key.key == f"{STORED_RECORD}{row.job_name}"
    return row if named_so else Unreadable(item.place)


def _name(row: JobRow | Unreadable) -> str | None:
    return row.job_name if isinstance(row, JobRow) else None


def _united(present: Iterable[JobRow | Unreadable], stored: Iterable[JobRow | Unreadable]) -> Recorded:
    """Add what is stored of earlier jobs, and of present ones whose XComs are kept elsewhere by the user's backend."""
    rows = {row.place: row for row in present}
    earlier: list[JobRow] = []
    unreadable: list[Unreadable] = []
    for row in sorted(stored, key=_age):
        if isinstance(row, Unreadable):
            unreadable.append(row)
        elif isinstance(rows.get(row.place), Unreadable):
            rows[row.place] = row
        else:
            earlier.append(replace(row, earlier=True))
    unreadable += [row for row in rows.values() if isinstance(row, Unreadable)]
    return Recorded([*(row for row in rows.values() if isinstance(row, JobRow)), *earlier], unreadable)


def _age(row: JobRow | Unreadable) -> float:
    return -row.submitted_at.timestamp() if isinstance(row, JobRow) else 0.0
