"""Small files that a job writes, and other tasks want as values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.templating import LATE, hide_unresolved
from airflow_sm_processing.processing.values import from_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_sm_processing.processing.session import Session

__all__ = ["read_result_files", "result_file_values", "result_files_problems"]


def result_files_problems(
    result_files: Any, max_bytes: Any, *, output_names: Collection[object], is_unawaited: bool
) -> Iterator[Problem]:
    """Yield what is wrong with a task's `result_files`, as far as it is known.

    Args:
        result_files: The parameter.
        max_bytes: The task's `max_result_file_bytes`.
        output_names: The names of the job's outputs; empty if they aren't all known.
        is_unawaited: Whether the task says itself that it doesn't wait for its job's end.
    """
    plain = read_result_files(hide_unresolved(result_files))
    if not plain or plain is LATE:
        return
    from airflow_sm_processing.result_files import result_file_problems

    if is_unawaited:
        yield Problem("result_files", plain, "there are none before the job's end: set wait_for_completion=True")
    known = {name: place for name, place in plain.items() if place is not LATE} if isinstance(plain, Mapping) else plain
    yield from result_file_problems(known, output_names)
    yield from _bound_problems(max_bytes)


def read_result_files(value: Any) -> Any:
    """Return the files by their names, which a template may have written as JSON; what isn't that, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except (ValueError, RecursionError):
        return value


def _bound_problems(value: Any) -> Iterator[Problem]:
    if hide_unresolved(value) is LATE:
        return
    try:
        positive = int(value) > 0
    except (TypeError, ValueError):
        positive = False
    if not positive:
        yield Problem("max_result_file_bytes", value, "must be a positive number of bytes")


def result_file_values(
    named: Mapping[str, str],
    session: Session,
    output_uris: Mapping[str, str],
    *,
    max_bytes: int,
    max_transient_seconds: float,
) -> dict[str, Any]:
    """Read each file of a completed job: all, or none if one can't be read.

    Args:
        named: The files by the names of their XComs.
        session: Where to read.
        output_uris: The places of the job's outputs by their names.
        max_bytes: The largest file's size.
        max_transient_seconds: How long to retry while S3 can't be reached.

    Raises:
        UnusableResultError: One isn't there, is too large, or doesn't parse.
        ServiceError: S3 refused or couldn't be reached.
    """
    from airflow_sm_processing.exceptions import ResultFileError
    from airflow_sm_processing.operators.attempt import UnusableResultError
    from airflow_sm_processing.processing.aws_calls import retry
    from airflow_sm_processing.result_files import read_result_file, result_files

    try:
        return {
            file.name: retry(
                partial(read_result_file, session, file, output_uris.get(file.output_name), max_bytes=max_bytes),
                max_seconds=max_transient_seconds,
            )
            for file in result_files(named)
        }
    except ResultFileError as error:
        raise UnusableResultError(error.name, error.reason) from error
