"""The API's responses as pydantic models, and the status that is shown for a job."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    OnErrorOmit,
    ValidationError,
    computed_field,
)
from typing_extensions import Self, TypedDict  # pydantic accepts `typing.TypedDict` since Python 3.12 only

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.sanitize import (
    OBJECT,
    BriefText,
    ConsoleUrl,
    DefaultIfInvalid,
    IsoTime,
    LongText,
    MalformedRecordError,
    NoneIfInvalid,
    Number,
    RecordTime,
    RequestBody,
    WholeNumber,
    decode_json,
    first_items,
    last_items,
)

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "UNKNOWN",
    "Bucket",
    "CurrentStatus",
    "DagTotals",
    "Job",
    "JobDetails",
    "JobDetailsWithLog",
    "JobRecord",
    "JobRow",
    "JobTab",
    "JobTotals",
    "JobsPage",
    "RecordSummary",
    "StopOption",
    "StopResult",
    "Sums",
    "TaskInstanceKey",
    "TaskState",
    "TaskSummary",
    "parse_details",
    "parse_record",
    "parse_summary",
    "reconcile",
    "stop_option",
]


_MAX_ITEMS = 100  # SageMaker takes ten inputs, and records have the log of at most ten hosts
_MAX_LINES = 1_000
_MAX_RECORD_BYTES = 16_384  # one response has up to 500 records; a task's own records have a quarter of it
_SHORT_CHARACTERS = 100  # longer than any job's name
_TOO_LARGE = "This job's record is too large to show in full."

_Text = Annotated[BriefText | None, NoneIfInvalid]
_LongText = Annotated[LongText | None, NoneIfInvalid]
_Number = Annotated[Number | None, NoneIfInvalid]
_WholeNumber = Annotated[WholeNumber | None, NoneIfInvalid]
_Time = Annotated[RecordTime | None, NoneIfInvalid]
_TrueByDefault = Annotated[bool, DefaultIfInvalid(lambda: True)]


class _RecordModel(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


def _known(status: JobStatus) -> JobStatus:
    """Reject what `JobStatus` would accept as a status that SageMaker has added since."""
    if not status.is_known:
        raise ValueError(f"{status} is not a status that this version knows")
    return status


class RecordSummary(_RecordModel):
    """The fields of a record that lists are filtered, sorted and summed by. Without the first three it's no record."""

    job_name: Annotated[BriefText, Field(min_length=1)]
    status: Annotated[JobStatus, Field(strict=False), AfterValidator(_known)]
    submitted_at: RecordTime
    ended_at: _Time = None
    duration_seconds: _Number = None
    instance_seconds: _Number = None
    try_number: Annotated[WholeNumber, DefaultIfInvalid(int)] = 0
    awaited: _TrueByDefault = True


class Links(TypedDict, total=False):
    """Pages of the AWS console, by the keys of `LINK_KEYS`."""

    Job: OnErrorOmit[ConsoleUrl]
    Logs: OnErrorOmit[ConsoleUrl]
    Outputs: OnErrorOmit[ConsoleUrl]


class JobRecord(_RecordModel):
    """All fields of a record."""

    job_name: _Text = None
    job_arn: _Text = None
    region: _Text = None
    status: _Text = None
    submitted_at: _Time = None
    created_at: _Time = None
    started_at: _Time = None
    ended_at: _Time = None
    stop_requested_at: _Time = None
    """When the job was first seen to be stopping; how it ended may be recorded later, or never."""
    duration_seconds: _Number = None
    instance_seconds: _Number = None
    instance_type: _Text = None
    instance_count: _WholeNumber = None
    image_uri: _Text = None
    exit_message: _Text = None
    failure_reason: _Text = None
    error_line: _Text = None
    """The line of a failed job's log that says why it failed."""
    try_number: _WholeNumber = None
    aws_conn_id: _Text = None
    instance_preferences: Annotated[list[OnErrorOmit[str]], first_items(_MAX_ITEMS)] = []
    links: Annotated[Links, DefaultIfInvalid(dict)] = {}
    awaited: _TrueByDefault = True
    stop_on_kill: _TrueByDefault = True

    def bounded(self) -> Self:
        """Return the record, without what makes it large if it is too large."""
        fields = self.model_dump(mode="json")
        if len(json.dumps(fields)) <= _MAX_RECORD_BYTES:
            return self
        short = {name: value[:_SHORT_CHARACTERS] for name, value in self if isinstance(value, str)}
        cleared = {"instance_preferences": [], "links": {}, "failure_reason": _TOO_LARGE}
        return self.model_copy(update={**short, **cleared})


class _Location(_RecordModel):
    """An input or output of a job."""

    name: _LongText = None
    uri: _LongText = None
    container_path: _LongText = None
    link: Annotated[ConsoleUrl | None, NoneIfInvalid] = None
    bytes: _WholeNumber = None
    objects: _WholeNumber = None
    complete: Annotated[bool, DefaultIfInvalid(bool)] = False


class _LogTail(_RecordModel):
    """The last lines of one host's log."""

    host: _LongText = None
    lines: Annotated[list[OnErrorOmit[LongText]], last_items(_MAX_LINES)] = []


class JobDetails(_RecordModel):
    """What a task records in addition to the record, without the log."""

    job_name: Annotated[str, Field(exclude=True)]
    request: Annotated[RequestBody | None, NoneIfInvalid] = None
    inputs: Annotated[list[Annotated[_Location, OBJECT]], first_items(_MAX_ITEMS)] = []
    outputs: Annotated[list[Annotated[_Location, OBJECT]], first_items(_MAX_ITEMS)] = []


class JobDetailsWithLog(JobDetails):
    """What a task records in addition to the record, for users who may read the task's log."""

    log_tail: Annotated[list[Annotated[_LogTail, OBJECT]], first_items(_MAX_ITEMS)] = []

    def without_log(self) -> JobDetails:
        """Return the details for a user who may not read the task's log."""
        return JobDetails.model_construct(**{name: getattr(self, name) for name in JobDetails.model_fields})


_Model = TypeVar("_Model", bound=BaseModel)


def _parse(model: type[_Model], value: Any) -> _Model:
    try:
        return model.model_validate(value if isinstance(value, dict) else {})
    except ValidationError as error:
        raise MalformedRecordError(str(error)) from error


def parse_summary(content: str) -> RecordSummary:
    """Parse the fields of a record that lists are made of.

    Raises:
        MalformedRecordError: It isn't a record.
    """
    return _parse(RecordSummary, decode_json(content))


def parse_record(content: str) -> JobRecord:
    """Parse all fields of a record.

    Raises:
        MalformedRecordError: It isn't JSON.
    """
    return _parse(JobRecord, decode_json(content, limit_depth=True)).bounded()


def parse_details(content: str) -> JobDetailsWithLog:
    """Parse the details of a record.

    Raises:
        MalformedRecordError: It isn't JSON, or names no job.
    """
    return _parse(JobDetailsWithLog, decode_json(content, limit_depth=True))


class Job(JobRecord):
    """A job as the pages show it: its record, its current status, and the record's task instance."""

    status: str
    status_note: str | None
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    superseded: bool
    dag_url: str
    task_url: str
    tab_url: str
    """The address of the task instance's tab in Airflow's UI."""
    task_state: str | None


class JobsPage(BaseModel):
    """A page of the jobs that the filters match."""

    total: int
    jobs: list[Job]
    unreadable: int
    notes: list[str]
    asks_sagemaker: bool


class Sums(BaseModel):
    """Jobs counted by status, and the instance-seconds of all of them."""

    jobs: int
    completed: int
    failed: int
    stopped: int
    running: int
    unknown: int
    instance_seconds: float


class DagTotals(Sums):
    """The sums of one DAG."""

    dag_id: str


class Bucket(Sums):
    """The sums of one part of the period."""

    start: IsoTime


class JobTotals(Sums):
    """The sums of the jobs that the filters match."""

    by_dag: list[DagTotals]
    buckets: list[Bucket]
    bucket_seconds: int


class StopOption(BaseModel):
    """How the stop button stops a job, or why there is none."""

    how: Literal["task", "sagemaker"] | None = None
    """`task`: the task is marked failed, and its `on_kill` stops the job. `sagemaker`: the API server asks SageMaker
    to stop the job, and the task ends according to its `on_stopped`."""
    why_not: str | None = None

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def possible(self) -> bool:
        """Whether the job can be stopped."""
        return self.how is not None


class StopResult(BaseModel):
    """How a job is being stopped."""

    how: Literal["task", "sagemaker"]


class TaskSummary(BaseModel):
    """A task instance, as the tab describes it."""

    state: str | None
    try_number: int
    start_date: IsoTime | None
    end_date: IsoTime | None
    operator: str | None


class JobTab(BaseModel):
    """The tab of one task instance."""

    job: Job | None
    details: JobDetailsWithLog | JobDetails | None
    earlier: list[Job]
    task: TaskSummary
    stop: StopOption
    logs_url: str
    now: IsoTime
    notes: list[str]
    asks_sagemaker: bool


UNKNOWN = "Unknown"
"""A status beside those of `JobStatus`: the job may be running or have ended."""
_NOT_AWAITED = "Status at submission: the task doesn't wait for this job, so its end isn't recorded."
_LEFT_STOPPING = "A stop was requested and the task has ended, so the job's own end may not be recorded."
_NO_PROCESS = "No worker or triggerer is running the task now, so nothing would stop its job. Try again soon."
_WAITING_STATES = frozenset({"running", "deferred", "queued", "scheduled", "restarting", "up_for_reschedule"})
_STOP_ELSEWHERE = (
    "Stop the job in the AWS console, or set [sm_processing] ask_sagemaker = True to let the API server stop it."
)


class TaskInstanceKey(NamedTuple):
    """The key of a task instance."""

    dag_run: int
    """The run's id in the database, which no other DAG's run has."""
    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True)
class TaskState:
    """A task instance's state at one moment."""

    state: str | None
    try_number: int
    has_process: bool = True
    """Whether a worker or triggerer runs the task, and would call its `on_kill`."""


@dataclass(frozen=True)
class CurrentStatus:
    """A job's status where the recorded one is out of date or needs an explanation."""

    status: str
    """A value of `JobStatus`, or `UNKNOWN`."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A recorded job in a list: only the fields that lists need, as there may be 100,000 rows in memory."""

    task_instance: TaskInstanceKey
    job_name: str
    status: JobStatus
    """The recorded status, which is certain only if it is terminal; see `reconcile`."""
    submitted_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    instance_seconds: float | None
    try_number: int
    awaited: bool
    stored: bool
    """Whether the record is in `task_state_store`; otherwise it is an XCom."""
    superseded: bool = False
    """Whether the task instance has a later job."""
    reconciled: CurrentStatus | None = None
    """None if the recorded status holds, or hasn't been reconciled yet."""

    @property
    def current_status(self) -> str:
        """The job's status: a value of `JobStatus`, or `UNKNOWN`."""
        return self.status.value if self.reconciled is None else self.reconciled.status

    @property
    def status_note(self) -> str | None:
        """An explanation of the status."""
        return None if self.reconciled is None else self.reconciled.note


def reconcile(row: JobRow, task: TaskState | None) -> JobRow:
    """Reconcile a recorded status with the state of its task instance, which is None if it was deleted."""
    if row.status.is_terminal or (row.awaited and _is_waiting_for(row, task)):
        return row
    if row.status is JobStatus.STOPPING:
        return replace(row, reconciled=CurrentStatus(row.status.value, _LEFT_STOPPING))
    if not row.awaited:
        return replace(row, reconciled=CurrentStatus(row.status.value, _NOT_AWAITED))
    return replace(row, reconciled=CurrentStatus(UNKNOWN, _why_unknown(row, task)))


def _is_waiting_for(row: JobRow, task: TaskState | None) -> bool:
    return (
        task is not None and not row.superseded and row.try_number >= task.try_number and task.state in _WAITING_STATES
    )


def _why_unknown(row: JobRow, task: TaskState | None) -> str:
    if task is None:
        return "The task instance was deleted before the job's end was recorded."
    if row.superseded or row.try_number < task.try_number:
        return "The task moved on to another try or job before this job's end was recorded."
    return f"The task ended before the job's end was recorded (task state: {task.state or 'cleared'})."


def stop_option(row: JobRow, job: Job, task: TaskState | None, *, live_status: bool) -> StopOption:
    """Return how a task's current job can be stopped.

    Args:
        row: The job's row, reconciled.
        job: The same job, with its status from SageMaker if it was asked.
        task: The state of the task instance.
        live_status: Whether the API server may call SageMaker.
    """
    if job.status not in (JobStatus.IN_PROGRESS, UNKNOWN):
        return StopOption(why_not=f"The job is already {job.status.lower()}.")
    if live_status:
        return StopOption(how="sagemaker")
    why_not = _why_task_would_not_stop(row, job, task)
    return StopOption(how="task") if why_not is None else StopOption(why_not=why_not)


def _why_task_would_not_stop(row: JobRow, job: Job, task: TaskState | None) -> str | None:
    if not row.awaited:
        return f"The task doesn't wait for this job (wait_for_completion=False), so it can't stop it. {_STOP_ELSEWHERE}"
    if task is None or not _is_waiting_for(row, task):
        return f"{row.status_note} {_STOP_ELSEWHERE}"
    if not job.stop_on_kill:
        return f"The task is set to leave its job running when it is stopped (stop_on_kill=False). {_STOP_ELSEWHERE}"
    return None if task.has_process else _NO_PROCESS
