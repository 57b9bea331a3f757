"""The parameters that only a function's task has, and what they add to the job's definition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.exit_codes import read_exit_codes
from airflow_sm_processing.operators.late import LATE, hide_late
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_sm_processing.decorators.operator import FunctionProcessingOperator

__all__ = ["own_problems", "read_requirements", "with_own"]


def with_own(parameters: dict[str, Any], **own: Sequence[Any]) -> dict[str, Any]:
    """Add inputs and outputs to those that the user gave, if these are known by now."""
    return parameters | {name: _and(parameters.get(name), [*items]) for name, items in own.items()}


def _and(given: Any, own: list[Any]) -> Any:
    if isinstance(given, str):  # a template's result, it may be
        try:
            given = json.loads(given)
        except ValueError:
            return given
    if given is None:
        return to_plain(own)
    return to_plain([*given, *own]) if isinstance(given, (list, tuple)) else given


def read_requirements(value: Any) -> list[str]:
    """Give the lines of a requirements file; a template may have written the list as JSON.

    Raises:
        DefinitionError: It is something else.
    """
    problems = list(_requirements_problems(value))
    if problems:
        raise DefinitionError(problems)
    return list(_plain_list(value) or ())


def own_problems(task: FunctionProcessingOperator) -> Iterator[Problem]:
    """Yield what is wrong with the parameters that other processing tasks haven't got."""
    yield from _requirements_problems(hide_late(task.requirements))
    size: Any = task.max_xcom_bytes
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        yield Problem("max_xcom_bytes", size, "must be a number of bytes, 0 or more")
    yield from _fail_problems(task.fail_on_exit_code)


def _fail_problems(value: Any) -> Iterator[Problem]:
    try:
        read_exit_codes([[value]] if isinstance(value, str) else value)  # it is no template field: text is a mistake
    except ValueError as error:
        yield Problem("fail_on_exit_code", value, str(error))


def _requirements_problems(value: Any) -> Iterator[Problem]:
    if value is None or value is LATE:
        return
    lines = _plain_list(value)
    if not isinstance(lines, (list, tuple)):
        yield Problem("requirements", value, "must be a list of strings, each a line of a requirements file")
        return
    for index, line in enumerate(lines):
        if line is not LATE and (not isinstance(line, str) or "\n" in line or not line.strip()):
            yield Problem(
                f"requirements[{index}]", line, "must be a line of a requirements file, such as 'pandas==2.2'"
            )


def _plain_list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
