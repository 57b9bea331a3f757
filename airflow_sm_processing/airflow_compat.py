"""Airflow names that moved from `airflow` to `airflow.sdk`, by version, and a configuration option.

Each name is looked up when it is imported, so that this module itself loads no part of Airflow. The common.compat
provider does the same, but the version that Airflow 3.1.0's own constraints pin has none of these names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        XComNotFound,
    )
    from airflow.sdk.execution_time.xcom import XCom

    Stats: Any

__all__ = [
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "Stats",
    "XCom",
    "XComNotFound",
    "conf",
    "configured_poll_interval",
]

_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
_MODULES = {  # newest first: importing an older one may warn
    "AirflowFailException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "AirflowTaskTimeout": _EXCEPTIONS,
    "XComNotFound": _EXCEPTIONS,
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "XCom": ("airflow.sdk.execution_time.xcom",),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
}


def __getattr__(name: str) -> Any:
    """Return the installed Airflow's object of that name."""
    for module in _MODULES.get(name, ()):
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def configured_poll_interval(otherwise: float) -> float:
    """Return `[sm_processing] poll_interval` in seconds, the default for DAG files that don't set it.

    Args:
        otherwise: Returned if the option isn't set.

    Raises:
        ValueError: The option isn't a number of seconds.
    """
    text = str(__getattr__("conf").get("sm_processing", "poll_interval", fallback="") or "")
    try:
        seconds = float(text) if text else otherwise
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"[sm_processing] poll_interval must be a number of seconds above 0, not {text!r}")
    return seconds
