"""What Airflow's provider manager learns of this package."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]


_CONFIG: dict[str, Any] = {
    "description": "Options of the SageMaker Processing provider.",
    "options": {
        "deployment": {
            "description": (
                "Tells this Airflow from others that use the same AWS account: it is in the digest of each job's name "
                "and in its tags. `[api] base_url` if empty."
            ),
            "version_added": None,
            "type": "string",
            "example": "production",
            "default": "",
        },
        "measure_data": {
            "description": (
                "Whether a task counts the objects and bytes of its job's inputs and outputs when the job has ended, "
                "for the pages of Airflow's UI and for asset events. It takes s3:ListBucket, a few calls, and at most "
                "some seconds."
            ),
            "version_added": None,
            "type": "boolean",
            "example": "False",
            "default": "True",
        },
        "shortest_deferral": {
            "description": (
                "Seconds that a task stays deferred at least. Airflow's scheduler may fail a task, though its job "
                "completed, that resumes in a worker before the scheduler has seen the end of the process that "
                "deferred it. 5 more than `[workers] min_heartbeat_interval` if empty; give more where the scheduler "
                "learns late how tasks end."
            ),
            "version_added": None,
            "type": "float",
            "example": "20",
            "default": "",
        },
        "ask_sagemaker": {
            "description": (
                "Whether the pages of Airflow's UI also ask SageMaker how jobs are whose end isn't recorded, and have "
                "it stop them: the API server then calls DescribeProcessingJob and StopProcessingJob through the "
                "connections of the tasks, and needs what these need."
            ),
            "version_added": None,
            "type": "boolean",
            "example": "True",
            "default": "False",
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Give the provider's metadata, in the form of Airflow's `provider_info` schema."""
    name = "Amazon SageMaker Processing"
    return {
        "package-name": "airflow-sm-processing",
        "name": name,
        "description": "Runs Amazon SageMaker processing jobs with the vocabulary of the SageMaker SDK.",
        "hooks": [_integration(name, "airflow_sm_processing.hooks.processing")],
        "operators": [
            _integration(
                name,
                "airflow_sm_processing.operators.processing",
                "airflow_sm_processing.operators.script_processing",
            )
        ],
        "sensors": [_integration(name, "airflow_sm_processing.sensors.processing")],
        "triggers": [
            _integration(
                name,
                "airflow_sm_processing.triggers.processing",
                "airflow_sm_processing.triggers.capacity",
                "airflow_sm_processing.triggers.completions",
                "airflow_sm_processing.triggers.sensor",
            )
        ],
        "extra-links": [
            "airflow_sm_processing.links.SageMakerLink",
            "airflow_sm_processing.links.CloudWatchLink",
            "airflow_sm_processing.links.OutputsLink",
        ],
        "task-decorators": [
            {"name": "sm_processing", "class-name": "airflow_sm_processing.decorators.sm_processing_task"}
        ],
        "config": {"sm_processing": _CONFIG},
        "cli": ["airflow_sm_processing.cli.definition.get_cli_commands"],  # since Airflow 3.2; older ones pass it over
    }


def _integration(name: str, *modules: str) -> dict[str, Any]:
    return {"integration-name": name, "python-modules": list(modules)}
