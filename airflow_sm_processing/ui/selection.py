"""Which jobs of all recorded ones are asked for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from airflow_sm_processing.ui.rows import JobRow

__all__ = ["SORT_KEYS", "Filters", "ordered"]


SORT_KEYS: dict[str, Callable[[JobRow], Any]] = {
    "submitted_at": attrgetter("submitted_at"),
    "ended_at": attrgetter("ended_at"),
    "duration_seconds": attrgetter("duration_seconds"),
    "instance_seconds": attrgetter("instance_seconds"),
    "job_name": attrgetter("job_name"),
    "status": attrgetter("status_now"),
    "dag_id": attrgetter("place.dag_id"),
    "task_id": attrgetter("place.task_id"),
}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a user looks for; texts are found anywhere in a name, in either case."""

    statuses: frozenset[str] = frozenset()
    """All if empty."""
    dag_id: str = ""
    task_id: str = ""
    name: str = ""
    since: datetime | None = None
    """The first moment of submission."""
    until: datetime | None = None
    """The moment before which jobs were submitted."""

    def take(self, row: JobRow) -> bool:
        """Tell whether a job is among those looked for, whatever its status."""
        return (
            (self.since is None or row.submitted_at >= self.since)
            and (self.until is None or row.submitted_at < self.until)
            and self.dag_id.casefold() in row.place.dag_id.casefold()
            and self.task_id.casefold() in row.place.task_id.casefold()
            and self.name.casefold() in row.job_name.casefold()
        )

    def take_status(self, row: JobRow) -> bool:
        """Tell whether a job's status is among those looked for."""
        return not self.statuses or row.status_now in self.statuses


def ordered(rows: Iterable[JobRow], sort: str, *, descending: bool) -> Sequence[JobRow]:
    """Sort by a key of `SORT_KEYS`; those without a value come last in either order, the newest first among equals."""
    newest_first = sorted(rows, key=SORT_KEYS["submitted_at"], reverse=True)
    key = SORT_KEYS[sort]
    valued = sorted((item for item in newest_first if key(item) is not None), key=key, reverse=descending)
    return [*valued, *(item for item in newest_first if key(item) is None)]
