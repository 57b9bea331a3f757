"""A recorded job as lists are made of it: a few parsed fields, so that tens of thousands fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui import hostile

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["JobRow", "Place", "Standing", "row_of"]

_STATUSES: dict[str | None, JobStatus] = {status.value: status for status in JobStatus}


class Place(NamedTuple):
    """A task instance."""

    dag_run: int
    """Airflow's number of the run, which tells it from runs of other DAGs."""
    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True)
class Standing:
    """What a job's status is worth, where there is something to say about it."""

    status: str
    """Of `JobStatus`, or `Unknown`."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job's record, in short."""

    place: Place
    job_name: str
    status: JobStatus
    """As it was recorded: not to be trusted before it's terminal; see `trust`."""
    submitted_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    instance_seconds: float | None
    try_number: int
    awaited: bool
    stored: bool
    """Whether the record is in `task_state_store`; else in XCom."""
    earlier: bool = False
    """Whether the task instance has gone on: the job isn't its present one."""
    standing: Standing | None = None
    """None: the recorded status holds, or wasn't judged yet."""

    @property
    def status_now(self) -> str:
        """The status as it can be told now: of `JobStatus`, or `Unknown`."""
        return self.status.value if self.standing is None else self.standing.status

    @property
    def status_note(self) -> str | None:
        """What there is to know about the status."""
        return None if self.standing is None else self.standing.note


def row_of(place: Place, content: str, *, stored: bool) -> JobRow:
    """Parse a record.

    Raises:
        MalformedError: It isn't one.
    """
    record = hostile.dictionary(hostile.loaded(content))
    name, submitted = hostile.text(record.get("job_name")), hostile.time(record.get("submitted_at"))
    if not name or submitted is None:
        raise hostile.MalformedError("a record has a job_name and a time of submission")
    status = _STATUSES.get(hostile.text(record.get("status")))
    if status is None:
        raise hostile.MalformedError("a record has a status of SageMaker's")
    return JobRow(
        place=place,
        job_name=name,
        status=status,
        submitted_at=submitted,
        ended_at=hostile.time(record.get("ended_at")),
        duration_seconds=hostile.number(record.get("duration_seconds")),
        instance_seconds=hostile.number(record.get("instance_seconds")),
        try_number=hostile.whole(record.get("try_number")) or 0,
        awaited=record.get("awaited") is not False,
        stored=stored,
    )
