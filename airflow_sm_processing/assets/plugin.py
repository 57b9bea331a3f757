"""The plugin that registers the listener with Airflow; an entry point in pyproject.toml names it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from airflow_sm_processing.assets import listener

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AssetsPlugin", "listeners_of"]


def listeners_of(command: Sequence[str]) -> list[Any]:
    """Return the listeners of the process with this command line.

    Only a triggerer, which stores the events, gets the listener that writes receipts. Other processes get none: where
    DAGs are parsed, Airflow refuses `end_from_trigger` if there is any listener.
    """
    return [listener] if "triggerer" in command[1:2] else []


class AssetsPlugin(AirflowPlugin):
    """The plugin, which Airflow's processes load when they start."""

    name = "airflow_sm_processing_assets"
    listeners = listeners_of(sys.argv)
