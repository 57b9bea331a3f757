"""What a function's job left behind: the value that it returned, or the error that it raised."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.decorators.container.values import decode
from airflow_sm_processing.exceptions import ServiceError
from airflow_sm_processing.processing.outputs import ProcessingOutput
from airflow_sm_processing.processing.s3_objects import may_be_absent, read_object
from airflow_sm_processing.processing.s3_uris import below, is_s3_uri

if TYPE_CHECKING:
    from airflow_sm_processing.processing.session import Session

__all__ = ["OUTCOME", "Raised", "is_large_result", "read_raised", "read_returned"]

OUTCOME = ProcessingOutput(
    source="/opt/ml/processing/outcome",
    output_name="outcome",
    s3_upload_mode="Continuous",  # the one mode in which SageMaker uploads what a failed job wrote
)
_KIND = "sm_processing_result"
_MOST_HOSTS = 20  # that are asked for an error; any of them fails the job
_MOST_RESULT_BYTES = 64 * 1024**2  # without the large values; far more than a database takes well as an XCom
_MOST_ERROR_BYTES = 4_000_000  # more than `container.outcome` leaves, however its characters are written
_RAISED_TYPES: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "summary": str,
    "traceback": str,
    "exit_code": (int, type(None)),
    "host": str,
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


def is_large_result(value: object) -> bool:
    """Tell whether a value stands for a returned value that was too large for XCom."""
    return (
        isinstance(value, dict)
        and value.keys() == {"kind", "s3_uri", "bytes"}
        and value["kind"] == _KIND
        and is_s3_uri(str(value["s3_uri"]))
    )


def read_returned(session: Session, outcome_uri: str) -> Any:
    """Give what the function returned; what was too large, as where it is: `{"kind", "s3_uri", "bytes"}`.

    Raises:
        ServiceError: S3 refused or couldn't be reached; the code is NoSuchKey if the function left nothing.
        ValueError: Something else wrote what is there, or it is too large for any XCom.
    """
    content = read_object(session, below(outcome_uri, "result.json"), max_bytes=_MOST_RESULT_BYTES)

    def large(file: list[Any]) -> dict[str, Any]:
        name, size = file
        return {"kind": _KIND, "s3_uri": below(outcome_uri, name), "bytes": size}

    special = {"file": large}
    try:
        found = json.loads(content)
        if "each" in found:
            return {key: decode(plain, special) for key, plain in found["each"].items()}
        return decode(found["returned"], special)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{below(outcome_uri, 'result.json')} is no function's result: {error!r}") from error


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
        raised = Raised(**{name: found[name] for name in Raised._fields})
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{uri} is no function's error: {error!r}") from error
    wrong = [name for name, types in _RAISED_TYPES.items() if not isinstance(getattr(raised, name), types)]
    if wrong:
        raise ValueError(f"{uri} is no function's error: {', '.join(wrong)} can't be right")
    return raised
