"""The metadata that Airflow's provider manager reads."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]


_CONFIG: dict[str, Any] = {
    "description": "Options of the SageMaker Processing provider.",
    "options": {
        "deployment": {
            "description": (
                "A name that distinguishes this Airflow from others in the same AWS account. It is part of the "
                "digest in each job's name, and one of the job's tags. Defaults to `[api] base_url`."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "production",
            "default": "",
        },
        "sagemaker_config": {
            "description": (
                "One more file of defaults for processing jobs, in the form of the SageMaker SDK's `config.yaml`: a "
                "path, or an S3 URI. It wins over the SDK's own files, and the `sagemaker_config` of a connection's "
                "extra wins over it."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "s3://company-settings/sagemaker/config.yaml",
            "default": "",
        },
        "poll_interval": {
            "description": (
                "How often tasks, sensors and triggers poll their jobs, in seconds, if the DAG file sets no "
                "`poll_interval`. If this is empty, it is 10 seconds, and 30 for a trigger that watches for completed "
                "jobs. The local SageMaker sets it to 1."
            ),
            "version_added": "0.1.0",
            "type": "float",
            "example": "30",
            "default": "",
        },
        "measure_data": {
            "description": (
                "Whether a task counts the objects and bytes of its job's inputs and outputs when the job has ended, "
                "for the pages in Airflow's UI and for asset events. Needs s3:ListBucket, and takes a few calls and a "
                "few seconds at most."
            ),
            "version_added": "0.1.0",
            "type": "boolean",
            "example": "False",
            "default": "True",
        },
        "shortest_deferral": {
            "description": (
                "The shortest time, in seconds, that a task stays deferred. If a task resumes before the scheduler has "
                "seen that the process which deferred it ended, Airflow may fail the task although its job completed. "
                "Defaults to `[workers] min_heartbeat_interval` plus 5; set more if your executor reports the end of "
                "processes late."
            ),
            "version_added": "0.1.0",
            "type": "float",
            "example": "20",
            "default": "",
        },
        "ask_sagemaker": {
            "description": (
                "Whether the pages in Airflow's UI also ask SageMaker for the status of jobs whose end wasn't recorded "
                "and stop jobs directly. The API server then calls DescribeProcessingJob, ListTags and "
                "StopProcessingJob with the connections of the tasks, and needs what these connections need."
            ),
            "version_added": "0.1.0",
            "type": "boolean",
            "example": "True",
            "default": "False",
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the form of Airflow's `provider_info.schema.json`.

    Airflow takes the URL of the documentation from the package's metadata: `[project.urls]` in pyproject.toml.
    """
    name = "Amazon SageMaker Processing"
    return {
        "package-name": "airflow-sm-processing",
        "name": name,
        "description": "Run Amazon SageMaker Processing jobs with the class and parameter names of the SageMaker SDK.",
        "integrations": [
            {
                "integration-name": name,
                "external-doc-url": "https://docs.aws.amazon.com/sagemaker/latest/dg/processing-job.html",
                "tags": ["aws"],
            }
        ],
        "hooks": [_integration(name, "airflow_sm_processing.hooks.processing")],
        "operators": [
            _integration(
                name,
                "airflow_sm_processing.operators.processing",
            )
        ],
        "sensors": [_integration(name, "airflow_sm_processing.sensors.processing")],
        "triggers": [
            _integration(
                name,
                "airflow_sm_processing.triggers.processing",
                "airflow_sm_processing.triggers.processing",
                "airflow_sm_processing.triggers.completions",
                "airflow_sm_processing.triggers.processing",
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
        "cli": ["airflow_sm_processing.cli.commands.get_cli_commands"],  # since Airflow 3.2; older ones ignore it
    }


def _integration(name: str, *modules: str) -> dict[str, Any]:
    return {"integration-name": name, "python-modules": list(modules)}
