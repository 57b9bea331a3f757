"""The Airflow UI plugin: a page in the navigation, and a tab on the task instance."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_sm_processing.ui import JOB_TAB, PREFIX

__all__ = ["SageMakerProcessingPlugin"]

_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"  # Airflow's UI fills these in


class SageMakerProcessingPlugin(AirflowPlugin):
    """Add the pages. Every Airflow process loads this class, so the app is imported only by the API server."""

    name = "sagemaker_processing"
    # No leading slash: the addresses are relative to Airflow's base URL, which may have a path.
    external_views: list[Any] = [  # noqa: RUF012  # Airflow's own declaration
        {
            "name": "SageMaker Processing",
            "href": f"{PREFIX[1:]}/jobs",
            "destination": "nav",
            "category": "browse",
            "url_route": "sagemaker-processing",
            "icon": f"{PREFIX[1:]}/static/icon.svg",
            "icon_dark_mode": f"{PREFIX[1:]}/static/icon-dark.svg",
        },
        {
            "name": "Job",
            "href": f"{PREFIX[1:]}/job?{_TASK}",
            "destination": "task_instance",
            "url_route": JOB_TAB,
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]  # read in the API server only
        """Return the app that serves the pages."""
        from airflow_sm_processing.ui.app import create_app

        return [{"name": "SageMaker Processing", "url_prefix": PREFIX, "app": create_app()}]
