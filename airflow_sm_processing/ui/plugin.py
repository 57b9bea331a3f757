"""The plugin of Airflow's UI: a page in the navigation, and a tab on the task instance."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

__all__ = ["PREFIX", "SageMakerProcessingPlugin"]

PREFIX = "/sm-processing"
"""Where the API server has the pages, below its base URL."""
_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"  # Airflow's UI fills them in


class SageMakerProcessingPlugin(AirflowPlugin):
    """Adds the pages; every process of Airflow loads it, so what serves them is made only where they are asked for."""

    name = "sagemaker_processing"
    # Without a slash in front: relative to Airflow's base URL, which may have a path.
    external_views: list[Any] = [  # noqa: RUF012  # Airflow's own declaration
        {
            "name": "SageMaker Processing",
            "href": f"{PREFIX[1:]}/jobs",
            "destination": "nav",
            "category": "browse",
            "url_route": "sagemaker-processing",
        },
        {
            "name": "Processing job",
            "href": f"{PREFIX[1:]}/job?{_TASK}",
            "destination": "task_instance",
            "url_route": "sagemaker-processing-job",
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]  # read in the API server only
        """The app that serves the pages."""
        from airflow_sm_processing.ui.app import create_app

        return [{"name": "SageMaker Processing", "url_prefix": PREFIX, "app": create_app()}]
