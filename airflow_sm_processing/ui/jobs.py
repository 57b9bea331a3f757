"""The recorded jobs that a user looks for, judged, and as the browser gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_sm_processing.operators.recording import STORED_RECORD
from airflow_sm_processing.ui.hostile import MalformedError
from airflow_sm_processing.ui.shown import shown_record
from airflow_sm_processing.ui.tables import Key, record_tables, task_states
from airflow_sm_processing.ui.trust import judged
from airflow_sm_processing.xcoms import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from airflow_sm_processing.ui.rows import JobRow, Place
    from airflow_sm_processing.ui.selection import Filters

__all__ = ["judged_rows", "selected", "shown_jobs", "task_url"]


def judged_rows(session: Session, rows: Sequence[JobRow]) -> list[JobRow]:
    """Judge rows by what their task instances are doing, which is asked only where it matters."""
    states = task_states(session, {row.place for row in rows if row.awaited and not row.status.is_terminal})
    return [judged(row, states.get(row.place)) for row in rows]


def selected(session: Session, rows: Iterable[JobRow], filters: Filters) -> list[JobRow]:
    """Give the rows that the filters take."""
    taken = judged_rows(session, [row for row in rows if filters.take(row)])
    return [row for row in taken if filters.take_status(row)]


def shown_jobs(session: Session, rows: Sequence[JobRow], base: str) -> list[dict[str, Any]]:
    """Give these jobs whole, but those whose records went away meanwhile.

    Args:
        session: Airflow's database.
        rows: The jobs.
        base: The path of Airflow's base URL, without a slash at its end.
    """
    states = task_states(session, {row.place for row in rows})
    contents: dict[tuple[bool, Key], str | None] = {}
    for table in record_tables():
        keys = [_key(row) for row in rows if row.stored == table.stored]
        contents |= {(table.stored, item.key): item.text for item in table.at(session, keys)}
    jobs = []
    for row in rows:
        record = _record(contents.get((row.stored, _key(row))))
        state = states.get(row.place)
        if record is not None:
            jobs.append({**record, **_judgement(row, base), "task_state": state and state.state})
    return jobs


def _key(row: JobRow) -> Key:
    key = f"{STORED_RECORD}{row.job_name}" if row.stored else RECORD_KEY
    return Key(row.place.dag_run, row.place.task_id, row.place.map_index, key)


def _record(content: str | None) -> dict[str, Any] | None:
    if content is None:
        return None
    try:
        return shown_record(content)
    except MalformedError:
        return None


def _judgement(row: JobRow, base: str) -> dict[str, Any]:
    place = row.place
    return {
        "status": row.status_now,
        "status_note": row.status_note,
        "dag_id": place.dag_id,
        "run_id": place.run_id,
        "task_id": place.task_id,
        "map_index": place.map_index,
        "superseded": row.earlier,
        "task_url": task_url(place, base),
    }


def task_url(place: Place, base: str) -> str:
    """Give the address of a task instance in Airflow's UI."""
    dag_id, run_id, task_id = (quote(part, safe="") for part in (place.dag_id, place.run_id, place.task_id))
    mapped = f"/mapped/{place.map_index}" if place.map_index >= 0 else ""
    return f"{base}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}"
