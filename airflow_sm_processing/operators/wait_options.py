"""How a task waits for its job: the options, and how they are read from parameters that templates may have written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.values import (
    BOOLEANS,
    DEFAULT_MAX_CAPACITY_WAIT,
    DEFAULT_MAX_TRANSIENT_SECONDS,
    DEFAULT_POLL_INTERVAL,
    Value,
    json_or_as_is,
    value_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.processing.description import JobDescription

__all__ = ["WAIT_PARAMETERS", "WaitOptions", "read_exit_codes", "read_wait_options"]

_LONGEST = 10 * 365.0 * 86_400
_LARGEST_EXIT_CODE = 255


@value_object
class WaitOptions(Value):
    """The parameters of the wait; times in seconds."""

    deferrable: bool | None = None
    """None leaves it to Airflow's `[operators] default_deferrable`."""
    wait_for_completion: bool = True
    """False goes before `deferrable`, which then only says where to wait for capacity for the job."""
    poll_interval: float = DEFAULT_POLL_INTERVAL
    max_wait: float | None = None
    max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS
    max_capacity_wait: float = DEFAULT_MAX_CAPACITY_WAIT
    """How long a task waits for capacity for its job: for the end of throttling, a free quota, free instances."""
    on_existing_job: str = "reattach"
    """What to do with a job that an earlier try left running or completed."""
    logs: bool | Literal["tail"] = True
    """True shows the job's lines as they come, `"tail"` the last of each host at the end."""
    on_stopped: str = "fail"
    stop_on_kill: bool = True
    """Whether the job is stopped when nobody waits for it any more."""
    end_from_trigger: bool = False
    """Whether a deferred task whose job completes ends without a worker."""
    skip_on_exit_code: frozenset[int] = frozenset()
    """Of a job that failed, the exit codes that skip the task."""

    @property
    def is_deferrable(self) -> bool:
        """Whether the task waits in the triggerer."""
        if self.deferrable is not None:
            return self.deferrable
        from airflow_sm_processing.airflow_compat import conf

        default: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
        return default

    def skips_on_exit_of(self, description: JobDescription) -> bool:
        """Return whether a job failed with an exit code that skips the task."""
        from airflow_sm_processing.processing.description import JobStatus

        return description.status is JobStatus.FAILED and description.exit_code in self.skip_on_exit_code


def read_wait_options(parameters: Mapping[str, Any]) -> tuple[WaitOptions, list[Problem]]:
    """Return the options, and what is wrong with them; a parameter that can't be read stays at its default."""
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
    return WaitOptions(**values), problems


def read_exit_codes(value: Any) -> frozenset[int]:
    """Return the exit codes of one, several or none, which a template may have written as text or JSON.

    Raises:
        ValueError: There is something else among them.
    """
    plain = json_or_as_is(value)
    if plain is None or plain == "":
        return frozenset()
    if isinstance(plain, Collection) and not isinstance(plain, (str, bytes, Mapping)):
        return frozenset(_exit_code(item) for item in plain)
    return frozenset([_exit_code(plain)])


def _exit_code(value: Any) -> int:
    text = value.strip() if isinstance(value, str) else ""
    code = int(text) if text.isascii() and text.isdecimal() else value
    if isinstance(code, bool) or not isinstance(code, int) or not 0 < code <= _LARGEST_EXIT_CODE:
        raise ValueError(f"must be an exit code from 1 to {_LARGEST_EXIT_CODE}, or several in a list")
    return code


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    raise ValueError("must be true or false")


def _logs(value: object) -> bool | Literal["tail"]:
    if value == "tail":
        return "tail"
    try:
        return _boolean(value)
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
    "deferrable": _boolean,
    "wait_for_completion": _boolean,
    "poll_interval": _seconds,
    "max_wait": _seconds,
    "max_transient_seconds": _seconds,
    "max_capacity_wait": _seconds,
    "on_existing_job": _one_of("reattach", "fail", "new"),
    "logs": _logs,
    "on_stopped": _one_of("fail", "skip", "succeed"),
    "stop_on_kill": _boolean,
    "end_from_trigger": _boolean,
    "skip_on_exit_code": read_exit_codes,
}
WAIT_PARAMETERS = tuple(_READERS)
"""The parameters of a task that say how it waits; each is an attribute of the operator."""
