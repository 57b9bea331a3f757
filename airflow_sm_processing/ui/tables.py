"""Airflow's tables that the pages read: records in `xcom` and `task_state_store`, and task instances.

Values are selected as text, so that no row can make a query fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Text, case, cast, func, null, select, tuple_

from airflow_sm_processing.ui.models import TaskInstanceKey, TaskState
from airflow_sm_processing.xcoms import DETAILS_KEY, RECORD_KEY, STORED_RECORD

try:
    from airflow.models.task_state_store import TaskStateStoreModel
except ImportError:  # before Airflow 3.3
    TaskStateStoreModel = None  # type: ignore[assignment,misc]  # as the check below expects it

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["RecordTable", "RowKey", "RowText", "TableVersion", "record_tables", "select_details", "select_task_states"]

_MAX_RECORD_CHARACTERS = 100_000  # a task's record has about 1,500
_MAX_DETAILS_CHARACTERS = 1_000_000  # a task's details have at most a third of it
_BATCH_SIZE = 500  # keys in one statement, as databases limit its parameters


class RowKey(NamedTuple):
    """The key of a row in one of the tables with records."""

    dag_run: int
    task_id: str
    map_index: int
    key: str


class RowText(NamedTuple):
    """A row with its value as text, which is None if it is too long for a record."""

    key: RowKey
    task_instance: TaskInstanceKey
    written_at: datetime
    text: str | None


class TableVersion(NamedTuple):
    """Changes with nearly every change of a table's records: two overlapping transactions can hide one."""

    records: int
    last_written_at: datetime | None


@dataclass(frozen=True)
class RecordTable:
    """One of the two tables with records."""

    columns: Any
    written_at: ColumnElement[datetime]
    """Changes with every write."""
    has_records: ColumnElement[bool]
    stored: bool
    """Whether it is `task_state_store`."""

    def select_version(self, session: Session) -> TableVersion:
        """Return a value that shows whether records have changed."""
        counted = select(func.count(), func.max(self.written_at)).where(self.has_records)
        return TableVersion(*session.execute(counted).one())

    def select_keys(self, session: Session, limit: int) -> dict[RowKey, datetime]:
        """Return the keys of the newest rows, with the times when they were written."""
        rows = select(*self._key, self.written_at).where(self.has_records)
        newest = rows.order_by(self.written_at.desc()).limit(limit)
        return {RowKey(row[0], row[1], row[2], row[3]): row[4] for row in session.execute(newest).all()}

    def select_since(self, session: Session, time: datetime) -> Iterator[RowText]:
        """Yield the rows that were written at or after a time."""
        return self._select(session, self.written_at >= time)

    def select_rows(self, session: Session, keys: Iterable[RowKey]) -> Iterator[RowText]:
        """Yield the rows with these keys."""
        for batch in _batches(keys):
            yield from self._select(session, tuple_(*self._key).in_(batch))

    def select_task_instance(self, session: Session, key: TaskInstanceKey) -> Iterator[RowText]:
        """Yield the rows of one task instance."""
        c = self.columns
        same = (c.dag_run_id == key.dag_run, c.task_id == key.task_id, c.map_index == key.map_index)
        return self._select(session, *same)

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.columns.dag_run_id, self.columns.task_id, self.columns.map_index, self.columns.key

    def _select(self, session: Session, *conditions: ColumnElement[bool]) -> Iterator[RowText]:
        c, content = self.columns, cast(self.columns.value, Text)
        text = case((func.length(content) <= _MAX_RECORD_CHARACTERS, content), else_=null())
        rows = select(*self._key, c.dag_id, c.run_id, self.written_at, text).where(self.has_records, *conditions)
        for row in session.execute(rows):
            key = TaskInstanceKey(dag_run=row[0], dag_id=row[4], run_id=row[5], task_id=row[1], map_index=row[2])
            yield RowText(RowKey(row[0], row[1], row[2], row[3]), key, written_at=row[6], text=row[7])


def record_tables() -> Sequence[RecordTable]:
    """Return the tables with records; `task_state_store` exists since Airflow 3.3."""
    xcom = XComModel.__table__.c  # of the table, not of the model: thousands of rows need no ORM
    tables = [RecordTable(xcom, xcom.timestamp, xcom.key == RECORD_KEY, stored=False)]
    if TaskStateStoreModel is not None:
        store = TaskStateStoreModel.__table__.c
        has_records = store.key.startswith(STORED_RECORD, autoescape=True)
        tables.append(RecordTable(store, store.updated_at, has_records, stored=True))
    return tables


def select_task_states(session: Session, keys: Iterable[TaskInstanceKey]) -> dict[TaskInstanceKey, TaskState]:
    """Return the states of those task instances that exist."""
    columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    states: dict[TaskInstanceKey, TaskState] = {}
    for batch in _batches({key[1:]: key for key in keys}.items()):
        wanted = dict(batch)
        rows = select(*columns, TaskInstance.state, TaskInstance.try_number).where(tuple_(*columns).in_(wanted))
        states |= {wanted[tuple(key)]: TaskState(state, tries) for *key, state, tries in session.execute(rows)}
    return states


def select_details(session: Session, key: TaskInstanceKey) -> str | None:
    """Return the details of a task instance's current job as text, or None if there are none or they are too long."""
    content = cast(XComModel.value, Text)
    return session.scalar(
        select(content).where(
            XComModel.dag_run_id == key.dag_run,
            XComModel.task_id == key.task_id,
            XComModel.map_index == key.map_index,
            XComModel.key == DETAILS_KEY,
            func.length(content) <= _MAX_DETAILS_CHARACTERS,
        )
    )


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH_SIZE)):
        yield batch
