"""The plugin that brings Airflow the listener; an entry point in pyproject.toml names it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_sm_processing.assets import receipts

__all__ = ["AssetsPlugin"]


class AssetsPlugin(AirflowPlugin):
    """Airflow's processes load it when they start."""

    name = "airflow_sm_processing_assets"
    listeners = [receipts]  # noqa: RUF012  # as the base class has it
