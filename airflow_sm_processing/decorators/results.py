"""What a function's job left behind: the value that it returned, or the error that it raised."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.decorators.container.values import KIND, VALUE, decode
from airflow_sm_processing.decorators.large_results import VALUE_FILE, LargeResult
from airflow_sm_processing.exceptions import ServiceError
from airflow_sm_processing.processing.outputs import ProcessingOutput
from airflow_sm_processing.processing.s3_objects import may_be_absent, read_object
from airflow_sm_processing.processing.s3_uris import below
from airflow_sm_processing.processing.xcom_values import check_xcom_value

if TYPE_CHECKING:
    from airflow_sm_processing.decorators.large_results import Maker
    from airflow_sm_processing.processing.session import Session

__all__ = ["OUTCOME", "Raised", "Returned", "read_raised", "read_returned", "rule_of_airflow"]

OUTCOME = ProcessingOutput(
    source="/opt/ml/processing/outcome",
    output_name="outcome",
    s3_upload_mode="Continuous",  # the one mode in which SageMaker uploads what a failed job wrote
)
_MOST_HOSTS = 20  # that are asked for an error; any of them fails the job
_MOST_RESULT_BYTES = 64 * 1024**2  # without the large values; far more than a database takes well as an XCom
_MOST_ERROR_BYTES = 4_000_000  # more than `container.outcome` leaves, however its characters are written
_RAISED_TYPES: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "summary": str,
    "traceback": str,
    "exit_code": (int, type(None)),
    "host": str,
    "refused": bool,
}


class Raised(NamedTuple):
    """An error of the function, or of what comes before it in the container."""

    type: str
    summary: str
    """The type and the text, as at a traceback's end."""
    traceback: str
    exit_code: int | None
    """What `sys.exit` was given, if it was that."""
    host: str
    refused: bool = False
    """Whether it is about the returned value, which no XCom can carry: a retry would return the same."""


class Returned(NamedTuple):
    """What a function returned."""

    value: Any
    """A value that stayed in S3 is a dict; see `large_results`."""
    bytes: int
    """The size of all that is in XCom itself, as Airflow writes it in JSON."""


def read_returned(session: Session, outcome_uri: str, maker: Maker) -> Returned:
    """Return what the function returned; what was too large, as a reference to where it is.

    Raises:
        ServiceError: S3 refused or couldn't be reached; the code is NoSuchKey if the function left nothing.
        ValueError: Something else wrote what is there, or it is too large for any XCom.
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
        raise ValueError(f"{below(outcome_uri, 'result.json')} is no function's result: {error!r}") from error


def _part(plain: Any, outcome_uri: str, maker: Maker) -> Returned:
    """Return a value as the container wrote it: by itself, or the name and size of its file."""
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
    except Exception:  # noqa: BLE001  # of Airflow's serialisers; `check_xcom_value` then says what it is about
        return 0


def rule_of_airflow(value: Any) -> str | None:
    """Return why a value of a kind that JSON hasn't got is no XCom; None if Airflow gives the same value back."""
    if isinstance(value, (tuple, set, frozenset)):  # what is in them is asked about by itself
        return None
    kind = type(value).__name__
    try:
        serde = _airflow_serde()
        carried: Any = serde.serialize(value)
        if isinstance(carried["__data__"], (int, float)):
            check_xcom_value(carried["__data__"])
        is_same = bool(serde.deserialize(json.loads(json.dumps(carried))) == value)
    except Exception as error:  # noqa: BLE001  # of Airflow's serialisers, of which each kind has its own
        return f"is a {kind} that Airflow's XCom refuses: {error!r}"
    return None if is_same else f"is a {kind} that Airflow's XCom would change: return it as a string"


def _airflow_serde() -> Any:
    try:
        return import_module("airflow.sdk.serde")
    except ImportError:  # where it was up to Airflow 3.1
        return import_module("airflow.serialization.serde")


def read_raised(session: Session, outcome_uri: str, *, hosts: int) -> Raised | None:
    """Give what failed a job, of the first host that left an error; None if no host did.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
        ValueError: Something else wrote what is there.
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
        raise ValueError(f"{uri} is no function's error: {error!r}") from error
    wrong = [name for name, types in _RAISED_TYPES.items() if not isinstance(getattr(raised, name), types)]
    if wrong:
        raise ValueError(f"{uri} is no function's error: {', '.join(wrong)} can't be right")
    return raised
