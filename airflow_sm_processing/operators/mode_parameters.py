"""Reads how a task waits from parameters that a template may have written as strings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.exit_codes import read_exit_codes
from airflow_sm_processing.operators.truths import TRUTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.operators.modes import Modes

__all__ = ["MODE_PARAMETERS", "mode_problems", "read_modes"]

_LONGEST = 10 * 365.0 * 86_400


def read_modes(parameters: Mapping[str, Any]) -> tuple[Modes, list[Problem]]:
    """Give the modes, and what is wrong with them; a parameter that can't be read stays at its default."""
    from airflow_sm_processing.operators.modes import Modes

    values, problems = _read(parameters)
    return Modes(**values), problems


def mode_problems(parameters: Mapping[str, Any]) -> list[Problem]:
    """Give what is wrong with the modes, which is all that a DAG file's parse needs of them."""
    return _read(parameters)[1]


def _read(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, reader in _READERS.items():
        value = parameters.get(name)
        if value is None or value == "":
            continue
        try:
            values[name] = reader(value)
        except (TypeError, ValueError) as error:
            problems.append(Problem(name, value, str(error)))
    return values, problems


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in TRUTHS:
        return TRUTHS[value.lower()]
    raise ValueError("must be true or false")


def _logs(value: object) -> bool | Literal["tail"]:
    if value == "tail":
        return "tail"
    try:
        return _truth(value)
    except ValueError:
        raise ValueError("must be true, false or 'tail'") from None


def _seconds(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if not seconds > 0:  # nor is it nan
        raise ValueError("must be more than 0 seconds")
    if seconds > _LONGEST:
        raise ValueError(f"must be at most {_LONGEST:.0f} seconds, which is ten years")
    return seconds


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("must be a number of seconds, or a timedelta") from None


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "deferrable": _truth,
    "wait_for_completion": _truth,
    "poll_interval": _seconds,
    "max_wait": _seconds,
    "max_transient_seconds": _seconds,
    "max_capacity_wait": _seconds,
    "on_existing_job": _one_of("reattach", "fail", "new"),
    "logs": _logs,
    "on_stopped": _one_of("fail", "skip", "succeed"),
    "stop_on_kill": _truth,
    "end_from_trigger": _truth,
    "skip_on_exit_code": read_exit_codes,
}
MODE_PARAMETERS = tuple(_READERS)
"""The parameters of a task that say how it waits; each is an attribute of the operator."""
