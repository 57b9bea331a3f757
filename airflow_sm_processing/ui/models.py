"""Recorded jobs and the API's responses, as pydantic models: known fields of known types, and nothing else."""

import json
from typing import Annotated, Any, Literal, TypeVar

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

__all__ = [
    "Bucket",
    "DagTotals",
    "Job",
    "JobDetails",
    "JobDetailsWithLog",
    "JobRecord",
    "JobTab",
    "JobTotals",
    "JobsPage",
    "RecordSummary",
    "StopOption",
    "StopResult",
    "Sums",
    "TaskSummary",
    "parse_details",
    "parse_record",
    "parse_summary",
]

_MAX_ITEMS = 100  # SageMaker takes ten inputs, and records have the log of at most ten hosts
_MAX_LINES = 1_000
_MAX_RECORD_BYTES = 16_384  # one response has up to 500 records; what a task writes has a quarter of it
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
    duration_seconds: _Number = None
    instance_seconds: _Number = None
    instance_type: _Text = None
    instance_count: _WholeNumber = None
    image_uri: _Text = None
    exit_message: _Text = None
    failure_reason: _Text = None
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
    """A job as the pages show it: its record, its current status, and the task instance whose record it is."""

    status: str
    status_note: str | None
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    superseded: bool
    task_url: str
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
