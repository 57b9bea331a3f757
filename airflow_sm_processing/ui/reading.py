"""All recorded jobs that a user may see, one row for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_sm_processing.operators.recording import STORED_RECORD
from airflow_sm_processing.ui.hostile import MalformedError
from airflow_sm_processing.ui.rows import JobRow, Place, row_of
from airflow_sm_processing.ui.tables import record_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from airflow_sm_processing.ui.tables import Key, Listed, Table

    Found = Callable[[Table], Iterable[Listed]]

__all__ = ["Reader", "Recorded"]

_MOST_KEPT = 100_000  # parsed rows, of about 700 bytes each
_FEW = 500  # rows that are asked for by their keys; more of them by their time
_CLOCKS_DIFFER = timedelta(hours=1)  # SageMaker's, which submissions are dated by, and the database's


@dataclass(frozen=True)
class Recorded:
    """What was found."""

    rows: Sequence[JobRow]
    unreadable: int
    """How many records were passed over, for they aren't what tasks write."""


class Reader:
    """Reads records, and parses each once: it keeps what it parsed until the row is written again.

    May be used by several threads: what one of them misses is read again.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[bool, Key], tuple[datetime, JobRow | None]] = {}

    def read(self, session: Session, dag_ids: Collection[str], since: datetime | None = None) -> Recorded:
        """Give the jobs of these DAGs; some of those that were submitted before `since` are left out."""
        written_since = None if since is None else since - _CLOCKS_DIFFER
        return self._united(session, lambda table: table.listing(session, dag_ids, written_since), dag_ids)

    def read_task(self, session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> Recorded:
        """Give the jobs of one task instance."""
        return self._united(session, lambda table: table.at(session, dag_id, run_id, task_id, map_index), {dag_id})

    def _united(self, session: Session, found: Found, dag_ids: Collection[str]) -> Recorded:
        xcom, *stores = record_tables()
        rows = {listed.place: row for listed, row in self._rows(session, xcom, list(found(xcom)), dag_ids)}
        if not stores:
            return Recorded([row for row in rows.values() if row], sum(row is None for row in rows.values()))
        names = {place: f"{STORED_RECORD}{row.job_name}" for place, row in rows.items() if row}
        others = [listed for listed in found(stores[0]) if names.get(listed.place) != listed.key.key]
        return _with_earlier(rows, [row for _, row in self._rows(session, stores[0], others, dag_ids)])

    def _rows(
        self, session: Session, table: Table, listing: Sequence[Listed], dag_ids: Collection[str]
    ) -> Iterator[tuple[Listed, JobRow | None]]:
        """Yield each listed row parsed, or None if it can't be."""
        parsed: dict[Key, JobRow | None] = {}
        missing: dict[Key, Listed] = {}
        for listed in listing:
            written_at, row = self._kept.get((table.stored, listed.key), (None, None))
            if written_at == listed.written_at:
                parsed[listed.key] = row
            else:
                missing[listed.key] = listed
        parsed |= self._parse(session, table, missing, dag_ids)
        return ((listed, parsed[listed.key]) for listed in listing)

    def _parse(
        self, session: Session, table: Table, missing: Mapping[Key, Listed], dag_ids: Collection[str]
    ) -> dict[Key, JobRow | None]:
        if not missing:
            return {}
        if len(missing) <= _FEW:
            contents = table.contents(session, missing)
        else:
            oldest = min(listed.written_at for listed in missing.values())
            contents = table.contents_since(session, dag_ids, oldest)
        rows: dict[Key, JobRow | None] = dict.fromkeys(missing)
        rows |= {key: _parsed(missing[key].place, text, table) for key, text in contents if key in missing}
        if len(self._kept) + len(rows) > _MOST_KEPT:
            self._kept.clear()
        self._kept |= {(table.stored, key): (missing[key].written_at, row) for key, row in rows.items()}
        return rows


def _parsed(place: Place, content: str, table: Table) -> JobRow | None:
    try:
        return row_of(place, content, stored=table.stored)
    except MalformedError:
        return None


def _with_earlier(present: Mapping[Place, JobRow | None], stored: Iterable[JobRow | None]) -> Recorded:
    """Add what is stored of earlier jobs, and of present ones whose XComs can't be read."""
    rows = dict(present)
    stored = list(stored)
    earlier = []
    for row in sorted(filter(None, stored), key=lambda row: row.submitted_at, reverse=True):
        if rows.get(row.place, row) is None:  # an XCom backend of the user's keeps values elsewhere
            rows[row.place] = row
        else:
            earlier.append(replace(row, earlier=True))
    unreadable = sum(row is None for row in (*rows.values(), *stored))
    return Recorded([*filter(None, rows.values()), *earlier], unreadable)
