"""Airflow's tables as the pages read them: records in XCom and in `task_state_store`, and task instances.

Values are read as text, so that no row can break the query that it is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Text, cast, func, select, tuple_

from airflow_sm_processing.operators.recording import STORED_RECORD
from airflow_sm_processing.processing.results import DETAILS_KEY, RECORD_KEY
from airflow_sm_processing.ui.rows import Place
from airflow_sm_processing.ui.trust import TaskState

try:
    from airflow.models.task_state_store import TaskStateStoreModel
except ImportError:  # before Airflow 3.3
    TaskStateStoreModel = None  # type: ignore[assignment,misc]  # as the tests below expect it

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

__all__ = ["Key", "Listed", "Table", "details_of", "record_tables", "task_states"]

_LONGEST_RECORD = 100_000  # characters; ours have about 1,500
_LONGEST_DETAILS = 5_000_000
_AT_ONCE = 500  # keys in one statement: databases bound their parameters


class Key(NamedTuple):
    """What tells a row of a table from the others."""

    dag_run: int
    task_id: str
    map_index: int
    key: str


class Listed(NamedTuple):
    """A row without its value."""

    key: Key
    place: Place
    written_at: datetime


@dataclass(frozen=True)
class Table:
    """One of the two tables with records."""

    model: Any
    written_at: Any
    """The column that changes with every write."""
    has_records: ColumnElement[bool]
    stored: bool
    """Whether it is `task_state_store`."""

    def listing(self, session: Session, dag_ids: Collection[str], since: datetime | None) -> Iterator[Listed]:
        """Yield the rows of these DAGs that were written since a moment."""
        model = self.model
        columns = (model.dag_run_id, model.dag_id, model.run_id, model.task_id, model.map_index, model.key)
        found = self._where(select(*columns, self.written_at), dag_ids, since)
        for dag_run, dag_id, run_id, task_id, map_index, key, written_at in session.execute(found):
            place = Place(dag_run, dag_id, run_id, task_id, map_index)
            yield Listed(Key(dag_run, task_id, map_index, key), place, written_at)

    def contents_since(self, session: Session, dag_ids: Collection[str], since: datetime) -> Iterator[tuple[Key, str]]:
        """Yield the values of these DAGs' rows that were written since a moment, but those too long for a record."""
        found = self._where(select(*self._key, self._content), dag_ids, since)
        for *key, content in session.execute(found.where(self._is_short)):
            yield Key(*key), content

    def contents(self, session: Session, keys: Iterable[Key]) -> Iterator[tuple[Key, str]]:
        """Yield the values of these rows, but those too long for a record."""
        for some in _portions(keys):
            rows = select(*self._key, self._content).where(tuple_(*self._key).in_(some), self._is_short)
            for *key, content in session.execute(rows):
                yield Key(*key), content

    def at(self, session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> list[Listed]:
        """Give the rows of one task instance."""
        model = self.model
        place = (model.dag_id == dag_id, model.run_id == run_id, model.task_id == task_id, model.map_index == map_index)
        rows = select(model.dag_run_id, model.key, self.written_at).where(*place, self.has_records)
        return [
            Listed(Key(run, task_id, map_index, key), Place(run, dag_id, run_id, task_id, map_index), written_at)
            for run, key, written_at in session.execute(rows)
        ]

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.model.dag_run_id, self.model.task_id, self.model.map_index, self.model.key

    @property
    def _content(self) -> ColumnElement[str]:
        return cast(self.model.value, Text)

    @property
    def _is_short(self) -> ColumnElement[bool]:
        return func.length(self._content) <= _LONGEST_RECORD

    def _where(self, query: Select[Any], dag_ids: Collection[str], since: datetime | None) -> Select[Any]:
        query = query.where(self.has_records, self.model.dag_id.in_(dag_ids))
        return query if since is None else query.where(self.written_at >= since)


def record_tables() -> Sequence[Table]:
    """Give the tables that this Airflow has: `task_state_store` is there since 3.3."""
    xcom = Table(XComModel, XComModel.timestamp, XComModel.key == RECORD_KEY, stored=False)
    if TaskStateStoreModel is None:
        return (xcom,)
    has_records = TaskStateStoreModel.key.startswith(STORED_RECORD, autoescape=True)
    return (xcom, Table(TaskStateStoreModel, TaskStateStoreModel.updated_at, has_records, stored=True))


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
