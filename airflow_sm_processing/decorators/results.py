"""The outcome of a function's job: the value that it returned, or the error that it raised.

Values too large for XCom stay in S3. Since an XCom may hold any dict, even one that somebody else wrote, a reference
names the task instance that made it. It is followed only if that task is a function's task of the same DAG, and that
task's XCom says that its results are in that place.
"""

from __future__ import annotations

import json
import re
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.airflow_compat import AirflowFailException  # only a running task loads this
from airflow_sm_processing.decorators.container.values import KIND, VALUE, decode
from airflow_sm_processing.exceptions import JobFailedError, ProcessingError, ServiceError
from airflow_sm_processing.operators.parameters import read_exit_codes
from airflow_sm_processing.processing.aws_calls import retry
from airflow_sm_processing.processing.models import ProcessingOutput, below, is_s3_uri
from airflow_sm_processing.processing.s3 import may_be_absent, read_object
from airflow_sm_processing.redaction import one_line, printable
from airflow_sm_processing.xcom_values import XComValueError, check_xcom_value, key_rule
from airflow_sm_processing.xcoms import RESERVED_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.operators.acquire import EndedJob
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.session import Session

__all__ = [
    "OUTCOME",
    "VALUE_FILE",
    "FunctionFailedError",
    "FunctionRefusedError",
    "LargeResult",
    "Maker",
    "Raised",
    "Returned",
    "UnusableReturnError",
    "broken_reference",
    "function_failure",
    "read_raised",
    "read_returned",
    "returned_value",
    "rule_of_airflow",
]


class FunctionFailedError(JobFailedError):
    """The function raised an error in its container; `raised` has its type, text and traceback."""

    raised: Raised

    @classmethod
    def of(
        cls, error: JobFailedError, raised: Raised, *, function: str, hide: Callable[[str], str]
    ) -> FunctionFailedError:
        """Return a failed job's error as an error of its function.

        Args:
            error: The job's error.
            raised: The error that the container wrote.
            function: The function's name.
            hide: Removes what must not be shown from a text.
        """
        new = cls.__new__(cls)
        shown = Raised._make(hide(item) if isinstance(item, str) else item for item in raised)
        new.__dict__.update(error.__dict__, raised=shown)
        lines = [
            f"{function} raised {one_line(shown.type)} on {one_line(shown.host)} of processing job {error.job_name}.",
            *(f"    {printable(line)}" for line in shown.traceback.splitlines()),
            *(f"  {title}: {url}" for title, url in error.links.items()),
        ]
        ProcessingError.__init__(new, "\n".join(lines))
        return new


class FunctionRefusedError(FunctionFailedError, AirflowFailException):
    """The function ended with an exit code for which the task isn't retried."""


class UnusableReturnError(ProcessingError, AirflowFailException):
    """The job completed, and what the function returned can't be the task's result: a retry would find the same."""


_KIND = "sm_processing_result"
VALUE_FILE = re.compile(r"value(-[1-9][0-9]{0,8})?\.json")
"""The names of the files that hold large values."""
_OUTPUT_NAME = "outcome"
"""The output that holds a function's result; its URI is an XCom of the task as soon as the job is submitted."""


class Maker(NamedTuple):
    """The task instance that ran a function."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @classmethod
    def of(cls, ti: Any) -> Maker:
        """Return the identity of an Airflow task instance."""
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


class LargeResult(NamedTuple):
    """Where a returned value is, and which task instance made it."""

    s3_uri: str
    bytes: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @classmethod
    def read(cls, value: object) -> LargeResult | None:
        """Parse an XCom value; return None if it isn't a reference."""
        if not isinstance(value, dict) or value.get("kind") != _KIND or value.keys() != {"kind", *cls._fields}:
            return None
        found = cls(**{name: value[name] for name in cls._fields})
        texts = (found.s3_uri, found.dag_id, found.run_id, found.task_id)
        numbers = (found.bytes, found.map_index)
        is_one = all(type(item) is str for item in texts) and all(type(item) is int for item in numbers)
        return found if is_one and is_s3_uri(found.s3_uri) else None

    def to_plain(self) -> dict[str, Any]:
        """Return the reference as a dict for XCom."""
        return {"kind": _KIND, **self._asdict()}


def broken_reference(reference: LargeResult, context: Mapping[str, Any]) -> str | None:
    """Return why a reference must not be followed by the running task; None if the task that it names made it."""
    ti, dag = context["ti"], context["dag"]
    instead = "to read what is there anyway, pass the task an input: ProcessingInput(value['s3_uri'])"
    if reference.dag_id != ti.dag_id:
        return f"refers to a large result of another DAG, {reference.dag_id!r}: {instead}"
    maker = dag.task_dict.get(reference.task_id)
    kind = getattr(maker, "operator_class", type(maker))
    if _OUTPUT_NAME not in getattr(kind, "own_outputs", ()):
        return (
            f"refers to a large result of {reference.task_id!r}, which is no @task.sm_processing of this DAG: {instead}"
        )
    made = ti.xcom_pull(
        task_ids=reference.task_id,
        key=_OUTPUT_NAME,
        map_indexes=reference.map_index if reference.map_index >= 0 else None,
        run_id=reference.run_id,
    )
    folder, _, name = reference.s3_uri.rpartition("/")
    if isinstance(made, str) and VALUE_FILE.fullmatch(name) and below(made, name) == f"{folder}/{name}":
        return None
    return f"refers to a large result that task {reference.task_id!r} did not make, or has made anew since: {instead}"


OUTCOME = ProcessingOutput(
    source="/opt/ml/processing/outcome",
    output_name="outcome",
    s3_upload_mode="Continuous",  # the one mode in which SageMaker uploads what a failed job wrote
)
_MOST_HOSTS = 20  # to look for an error; one host's error fails the job
_MOST_RESULT_BYTES = 64 * 1024**2  # without the large values; far more than suits a database as an XCom
_MOST_ERROR_BYTES = 4_000_000  # more than `container.outcome` writes, however its characters are escaped
_RAISED_TYPES: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "summary": str,
    "traceback": str,
    "exit_code": (int, type(None)),
    "host": str,
    "refused": bool,
}


class Raised(NamedTuple):
    """An error of the function, or of the steps before it in the container."""

    type: str
    summary: str
    """The type and the text, as in the last line of a traceback."""
    traceback: str
    exit_code: int | None
    """The argument of `sys.exit`, if the function called it."""
    host: str
    refused: bool = False
    """Whether the returned value can't be an XCom, so that a retry would fail the same way."""


class Returned(NamedTuple):
    """What a function returned."""

    value: Any
    """The value; one that stayed in S3 is a dict, see `LargeResult.to_plain`."""
    bytes: int
    """The size of what goes into XCom itself, in bytes of Airflow's JSON."""


def read_returned(session: Session, outcome_uri: str, maker: Maker) -> Returned:
    """Return what the function returned, with a reference in place of what was too large.

    Raises:
        ServiceError: S3 refused or couldn't be reached; the code is NoSuchKey if the function wrote nothing.
        ValueError: The file was written by something else, or is too large for any XCom.
    """
    content = read_object(session, below(outcome_uri, "result.json"), max_bytes=_MOST_RESULT_BYTES)
    try:
        found = json.loads(content)
        if "each" in found:
            parts = {key: _part(plain, outcome_uri, maker) for key, plain in found["each"].items()}
            return Returned(
                {key: part.value for key, part in parts.items()}, sum(part.bytes for part in parts.values())
            )
        return _part(found["returned"], outcome_uri, maker)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{below(outcome_uri, 'result.json')} isn't a function's result: {error!r}") from error


def _part(plain: Any, outcome_uri: str, maker: Maker) -> Returned:
    """Return a value from what the container wrote: the value itself, or the name and size of its file."""
    if not (isinstance(plain, dict) and plain.get(KIND) == "file"):
        value = decode(plain)
        return Returned(value, _bytes_in_xcom(value))
    name, size = plain[VALUE]
    if not VALUE_FILE.fullmatch(name) or not isinstance(size, int):
        raise ValueError(f"{name!r} is no file of a value")
    return Returned(LargeResult(below(outcome_uri, name), size, *maker).to_plain(), 0)


def _bytes_in_xcom(value: Any) -> int:
    try:
        return len(json.dumps(_airflow_serde().serialize(value)))
    except Exception:  # noqa: BLE001  # Airflow's serialisers raise many kinds; `check_xcom_value` reports it
        return 0


def rule_of_airflow(value: Any) -> str | None:
    """Return why a value that JSON can't represent can't be an XCom; None if Airflow reads back the same value."""
    if isinstance(value, (tuple, set, frozenset)):  # their elements are checked separately
        return None
    kind = type(value).__name__
    try:
        serde = _airflow_serde()
        encoded: Any = serde.serialize(value)
        if isinstance(encoded["__data__"], (int, float)):
            check_xcom_value(encoded["__data__"])
        is_same = bool(serde.deserialize(json.loads(json.dumps(encoded))) == value)
    except Exception as error:  # noqa: BLE001  # Airflow's serialisers raise many kinds
        return f"is a {kind} that Airflow's XCom refuses: {error!r}"
    return None if is_same else f"is a {kind} that Airflow's XCom would change: return it as a string"


def _airflow_serde() -> Any:
    try:
        return import_module("airflow.sdk.serde")
    except ImportError:  # its place up to Airflow 3.1
        return import_module("airflow.serialization.serde")


def read_raised(session: Session, outcome_uri: str, *, hosts: int) -> Raised | None:
    """Return the error that failed a job, from the first host that wrote one; None if no host did.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
        ValueError: The file was written by something else.
    """
    for number in range(1, min(hosts, _MOST_HOSTS) + 1):
        uri = below(outcome_uri, f"error-algo-{number}.json")
        try:
            content = read_object(session, uri, max_bytes=_MOST_ERROR_BYTES)
        except ServiceError as error:
            if not may_be_absent(error):
                raise
        else:
            return _to_raised(content, uri)
    return None


def _to_raised(content: bytes, uri: str) -> Raised:
    try:
        found = json.loads(content)
        raised = Raised(**{name: found[name] for name in Raised._fields if name in found})
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{uri} isn't a function's error: {error!r}") from error
    wrong = [name for name, types in _RAISED_TYPES.items() if not isinstance(getattr(raised, name), types)]
    if wrong:
        raise ValueError(f"{uri} isn't a function's error: {', '.join(wrong)} can't be right")
    return raised


_SHOWN_CHARACTERS = 200  # of a key


def returned_value(
    ended: EndedJob, ti: Any, *, max_xcom_bytes: int, multiple_outputs: bool, is_mapped_over: Callable[[], bool]
) -> Any:
    """Return what the function returned.

    Args:
        ended: The function's job.
        ti: Airflow's task instance.
        max_xcom_bytes: The task's parameter.
        multiple_outputs: The task's parameter.
        is_mapped_over: Returns whether a task is mapped over the result.

    Raises:
        UnusableReturnError: There is no result, or something else wrote it; or the result can't be an XCom, is larger
            than `max_xcom_bytes`, has a key that is already an XCom of the task, or is in S3 while a task is mapped
            over it.
        ServiceError: S3 refused or couldn't be reached.
    """
    job = ended.job
    place = _outcome_uri(job, ended.description)
    try:
        found = retry(
            partial(read_returned, job.sagemaker_session, place, Maker.of(ti)),
            max_seconds=ended.max_transient_seconds,
        )
        check_xcom_value(found.value, other_rule=rule_of_airflow)
    except ServiceError as error:
        if error.code != "NoSuchKey":
            raise
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but {place} has no result: its process ended before the "
            "function had returned, by os._exit or by becoming another program."
        ) from error
    except XComValueError as error:
        where = job.sagemaker_session.secrets.hide(error.where)
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but no XCom can carry what the function returned: "
            f"the returned value{where} {error.rule}."
        ) from None
    except ValueError as error:
        text = printable(job.sagemaker_session.secrets.hide(str(error)))
        raise UnusableReturnError(f"Processing job {job.job_name} completed, but {text}") from None
    _check_size(found, max_xcom_bytes, job)
    if multiple_outputs:
        _check_keys(found.value, job)
    elif ti.map_index in {None, -1}:  # with a mapped task, each instance's result is one element
        _check_can_be_mapped_over(found.value, max_xcom_bytes, is_mapped_over)
    return found.value


def _check_size(found: Returned, max_xcom_bytes: int, job: ProcessingJob) -> None:
    """Refuse a result that is too large for XCom: many small values, or one that the container didn't write."""
    if found.bytes > max_xcom_bytes:
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but what the function returned has {found.bytes:,} bytes in "
            f"XCom, and max_xcom_bytes is {max_xcom_bytes:,}: raise it, or return fewer values."
        )


def _check_can_be_mapped_over(value: Any, max_xcom_bytes: int, is_mapped_over: Callable[[], bool]) -> None:
    large = LargeResult.read(value)
    if large is not None and is_mapped_over():
        raise UnusableReturnError(
            f"A task is mapped over what the function returned, and Airflow can't see the elements of a result in S3: "
            f"it has {large.bytes:,} bytes, and max_xcom_bytes is {max_xcom_bytes:,}."
        )


def function_failure(
    ended: EndedJob, error: JobFailedError, *, function: str, skip_on_exit_code: Any, fail_on_exit_code: Any, log: Any
) -> Exception:
    """Return what the task raises for a failed job: the function's error, or the job's own if there is none.

    Args:
        ended: The function's job.
        error: The job's own error.
        function: The function's name.
        skip_on_exit_code: The task's parameter.
        fail_on_exit_code: The task's parameter.
        log: The task's logger.
    """
    from airflow_sm_processing.airflow_compat import AirflowSkipException

    raised = _raised(ended, log)
    code = _exit_code(raised, ended.description)
    if code is not None and code in read_exit_codes(skip_on_exit_code):
        return AirflowSkipException(f"{function} ended with exit code {code}, in processing job {ended.job.job_name}.")
    if raised is None:
        return error
    refused = raised.refused or (code is not None and code in read_exit_codes(fail_on_exit_code))
    cls = FunctionRefusedError if refused else FunctionFailedError
    return cls.of(error, raised, function=function, hide=ended.job.sagemaker_session.secrets.hide)


def _raised(ended: EndedJob, log: Any) -> Raised | None:
    job, description = ended.job, ended.description
    try:
        place = _outcome_uri(job, description)
        read = partial(read_raised, job.sagemaker_session, place, hosts=description.instance_count or 1)
        return retry(read, max_seconds=ended.max_transient_seconds)
    except (ServiceError, UnusableReturnError, ValueError) as error:
        # Not raised: the job's own error is still useful without it.
        text = printable(job.sagemaker_session.secrets.hide(str(error)))
        log.warning("What the function raised can't be read: %s", text)
        return None


def _exit_code(raised: Raised | None, description: JobDescription) -> int | None:
    if raised is not None and raised.exit_code is not None:
        return raised.exit_code
    return description.exit_code


def _outcome_uri(job: ProcessingJob, description: JobDescription) -> str:
    for item in description.outputs:
        if item.output_name == OUTCOME.output_name and item.destination:
            return str(item.destination)
    raise UnusableReturnError(
        f"Processing job {job.job_name} is of another kind: it has no output {OUTCOME.output_name}."
    )


def _check_keys(value: Any, job: ProcessingJob) -> None:
    if not isinstance(value, dict):
        raise UnusableReturnError(
            f"Processing job {job.job_name} completed, but what the function returned is of type "
            f"{type(value).__name__}: with multiple_outputs it must be a dict."
        )
    for key in value:
        rule = key_rule(key)
        if rule is not None:
            shown = one_line(job.sagemaker_session.secrets.hide(key))[:_SHOWN_CHARACTERS]
            raise UnusableReturnError(f"The function returned the key {shown!r}, which {rule}.")
    taken = sorted(value.keys() & (RESERVED_KEYS | job.output_uris.keys()))
    if taken:
        raise UnusableReturnError(
            f"The function returned the keys {', '.join(taken)}, which are XComs of the task itself: with "
            "multiple_outputs, choose others."
        )
