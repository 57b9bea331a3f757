"""Pushes what a task's job wrote to small files, as XComs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.late import LATE, hide_late
from airflow_sm_processing.operators.truths import truth
from airflow_sm_processing.processing.values import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context

    from airflow_sm_processing.operators.getting import ClaimingTask
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.models import ProcessingOutput

__all__ = ["DEFAULT_MAX_RESULT_FILE_BYTES", "problems_of_results", "push_result_files", "read_result_files"]

DEFAULT_MAX_RESULT_FILE_BYTES = 256 * 1024
"""More than most results, and little enough for a row of Airflow's database."""


def problems_of_results(task: ClaimingTask, outputs: Sequence[ProcessingOutput]) -> Iterator[Problem]:
    """Yield what is wrong with a task's `result_files`, as far as it is known."""
    plain = read_result_files(hide_late(task.result_files))
    if not plain or plain is LATE:
        return
    from airflow_sm_processing.result_files import result_file_problems

    is_own = not task.inherited & {"result_files", "wait_for_completion"}
    if is_own and truth(task.mode_parameters()["wait_for_completion"]) is False:
        yield Problem("result_files", plain, "there are none before the job's end: set wait_for_completion=True")
    names = [item.output_name for item in outputs]
    are_known = hide_late(task.definition_parameters()["outputs"]) is not LATE and LATE not in names
    known = {name: place for name, place in plain.items() if place is not LATE} if isinstance(plain, Mapping) else plain
    yield from result_file_problems(known, names if are_known and None not in names else ())
    yield from _bound_problems(task.max_result_file_bytes)


def read_result_files(value: Any) -> Any:
    """Return the files by their names, which a template may have written as JSON; what isn't that, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except (ValueError, RecursionError):
        return value


def _bound_problems(value: Any) -> Iterator[Problem]:
    if hide_late(value) is LATE:
        return
    try:
        positive = int(value) > 0
    except (TypeError, ValueError):
        positive = False
    if not positive:
        yield Problem("max_result_file_bytes", value, "must be a positive number of bytes")


def push_result_files(
    task: ClaimingTask, context: Context, description: JobDescription, *, max_transient_seconds: float
) -> None:
    """Read each file of a completed job, then push them: all, or none if one can't be read.

    Raises:
        UnusableResultError: One isn't there, is too large, or doesn't parse.
        ServiceError: S3 refused or couldn't be reached.
    """
    named = read_result_files(task.result_files)
    if not named:
        return
    from airflow_sm_processing.exceptions import ResultFileError
    from airflow_sm_processing.operators.errors import UnusableResultError
    from airflow_sm_processing.processing.waiter import patiently
    from airflow_sm_processing.result_files import read_result_file, result_files

    places = description.output_uris
    limit = int(task.max_result_file_bytes)
    try:
        values = {
            file.name: patiently(
                partial(read_result_file, task.hook.session, file, places.get(file.output_name), max_bytes=limit),
                max_transient_seconds=max_transient_seconds,
            )
            for file in result_files(named)
        }
    except ResultFileError as error:
        raise UnusableResultError(error.name, error.reason) from error
    for name, value in values.items():
        context["ti"].xcom_push(key=name, value=value)
        task.log.info("Result file %s (%s) is XCom %s.", named[name], type(value).__name__, name)
