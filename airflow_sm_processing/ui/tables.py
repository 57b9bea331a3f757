"""Airflow's tables as the pages read them: records in XCom and in `task_state_store`, and task instances.

Values are read as text, so that no row can break the query that it is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Text, case, cast, func, null, select, tuple_

from airflow_sm_processing.operators.recording import STORED_RECORD
from airflow_sm_processing.ui.rows import Place
from airflow_sm_processing.ui.trust import TaskState
from airflow_sm_processing.xcoms import DETAILS_KEY, RECORD_KEY

try:
    from airflow.models.task_state_store import TaskStateStoreModel
except ImportError:  # before Airflow 3.3
    TaskStateStoreModel = None  # type: ignore[assignment,misc]  # as the tests below expect it

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["Content", "Key", "Mark", "Table", "details_of", "record_tables", "task_states"]

_LONGEST_RECORD = 100_000  # characters; ours have about 1,500
_LONGEST_DETAILS = 1_000_000  # ours have a third of it at the most
_AT_ONCE = 500  # keys in one statement: databases bound their parameters


class Key(NamedTuple):
    """What tells a row of a table from the others."""

    dag_run: int
    task_id: str
    map_index: int
    key: str


class Content(NamedTuple):
    """A row with its value; None if that is too long for a record."""

    key: Key
    place: Place
    written_at: datetime
    text: str | None


class Mark(NamedTuple):
    """Changes, nearly always, with every change of a table's records."""

    records: int
    last_written_at: datetime | None


@dataclass(frozen=True)
class Table:
    """One of the two tables with records."""

    columns: Any
    written_at: ColumnElement[datetime]
    """Changes with every write."""
    has_records: ColumnElement[bool]
    stored: bool
    """Whether it is `task_state_store`."""

    def mark(self, session: Session) -> Mark:
        """Give what tells whether something changed."""
        counted = select(func.count(), func.max(self.written_at)).where(self.has_records)
        return Mark(*session.execute(counted).one())

    def listing(self, session: Session, most: int) -> dict[Key, datetime]:
        """Give when the rows were written; of `most` rows, the newest."""
        rows = select(*self._key, self.written_at).where(self.has_records)
        newest = rows.order_by(self.written_at.desc()).limit(most)
        return {Key(row[0], row[1], row[2], row[3]): row[4] for row in session.execute(newest).all()}

    def since(self, session: Session, moment: datetime) -> Iterator[Content]:
        """Yield the rows that were written since a moment."""
        return self._contents(session, self.written_at >= moment)

    def at(self, session: Session, keys: Iterable[Key]) -> Iterator[Content]:
        """Yield the rows of these keys."""
        for some in _portions(keys):
            yield from self._contents(session, tuple_(*self._key).in_(some))

    def of_task(self, session: Session, place: Place) -> Iterator[Content]:
        """Yield the rows of one task instance."""
        c = self.columns
        same = (c.dag_run_id == place.dag_run, c.task_id == place.task_id, c.map_index == place.map_index)
        return self._contents(session, *same)

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.columns.dag_run_id, self.columns.task_id, self.columns.map_index, self.columns.key

    def _contents(self, session: Session, *conditions: ColumnElement[bool]) -> Iterator[Content]:
        c, content = self.columns, cast(self.columns.value, Text)
        text = case((func.length(content) <= _LONGEST_RECORD, content), else_=null())
        rows = select(*self._key, c.dag_id, c.run_id, self.written_at, text).where(self.has_records, *conditions)
        for row in session.execute(rows):
            place = Place(dag_run=row[0], dag_id=row[4], run_id=row[5], task_id=row[1], map_index=row[2])
            yield Content(Key(row[0], row[1], row[2], row[3]), place, written_at=row[6], text=row[7])


def record_tables() -> Sequence[Table]:
    """Give the tables that this Airflow has: `task_state_store` is there since 3.3."""
    xcom = XComModel.__table__.c  # of the table, not of the model: thousands of rows need no ORM
    tables = [Table(xcom, xcom.timestamp, xcom.key == RECORD_KEY, stored=False)]
    if TaskStateStoreModel is not None:
        store = TaskStateStoreModel.__table__.c
        has_records = store.key.startswith(STORED_RECORD, autoescape=True)
        tables.append(Table(store, store.updated_at, has_records, stored=True))
    return tables


def task_states(session: Session, places: Iterable[Place]) -> dict[Place, TaskState]:
    """Give the states of those task instances that there are."""
    key = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    found: dict[Place, TaskState] = {}
    for some in _portions({place[1:]: place for place in places}.items()):
        named = dict(some)
        rows = select(*key, TaskInstance.state, TaskInstance.try_number).where(tuple_(*key).in_(named))
        found |= {named[tuple(place)]: TaskState(state, tries) for *place, state, tries in session.execute(rows)}
    return found


def details_of(session: Session, place: Place) -> str | None:
    """Give the details that a task instance recorded of its present job; None if there are none, or far too many."""
    content = cast(XComModel.value, Text)
    return session.scalar(
        select(content).where(
            XComModel.dag_run_id == place.dag_run,
            XComModel.task_id == place.task_id,
            XComModel.map_index == place.map_index,
            XComModel.key == DETAILS_KEY,
            func.length(content) <= _LONGEST_DETAILS,
        )
    )


def _portions(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(islice(iterator, _AT_ONCE)):
        yield some
