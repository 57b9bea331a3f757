"""The parameters that only a function's task has, and what they add to the job's definition."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.late import LATE, hide_late
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.decorators.operator import FunctionProcessingOperator

__all__ = ["exit_codes", "own_problems", "read_requirements", "with_own"]

_LARGEST_EXIT_CODE = 255


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


def exit_codes(value: int | Collection[int] | None) -> frozenset[int]:
    """Give the exit codes of one, several or none."""
    if value is None:
        return frozenset()
    return frozenset([value]) if isinstance(value, int) else frozenset(value)


def own_problems(task: FunctionProcessingOperator) -> Iterator[Problem]:
    """Yield what is wrong with the parameters that other processing tasks haven't got."""
    yield from _requirements_problems(hide_late(task.requirements))
    size: Any = task.max_xcom_bytes
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        yield Problem("max_xcom_bytes", size, "must be a number of bytes, 0 or more")
    for name in ("skip_on_exit_code", "fail_on_exit_code"):
        yield from _exit_code_problems(name, getattr(task, name))


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


def _exit_code_problems(name: str, value: Any) -> Iterator[Problem]:
    codes = [value] if isinstance(value, int) else value
    if codes is None:
        return
    if not isinstance(codes, Collection) or isinstance(codes, (str, Mapping)):
        yield Problem(name, value, "must be an exit code or several")
        return
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int) or not 0 < code <= _LARGEST_EXIT_CODE:
            yield Problem(name, code, f"must be an exit code from 1 to {_LARGEST_EXIT_CODE}")
