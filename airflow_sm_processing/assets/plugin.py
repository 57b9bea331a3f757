"""The plugin that brings Airflow the listener; an entry point in pyproject.toml names it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from airflow_sm_processing.assets import listener

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AssetsPlugin", "listeners_of"]


def listeners_of(command: Sequence[str]) -> list[Any]:
    """Return the listeners of a process, by its command line: the receipts in a triggerer, which stores the events.

    None in the others: where DAGs are parsed, Airflow refuses `end_from_trigger` if there is any listener.
    """
    return [listener] if "triggerer" in command[1:2] else []


class AssetsPlugin(AirflowPlugin):
    """Airflow's processes load it when they start."""

    name = "airflow_sm_processing_assets"
    listeners = listeners_of(sys.argv)
