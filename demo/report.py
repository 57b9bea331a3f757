"""What became of a run's tasks and their jobs, as people want to read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_api import AirflowApi, TaskInstance

_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_SHOWN_LOG_LINES = 40
_FOLDS = ("::group::", "::endgroup::")  # marks for the UI, which folds what is between


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """One task, its job, and where its outputs are."""

    task: str
    state: str | None
    job: str
    """The job's name, empty if none was submitted."""
    status: str
    """The job's own status."""
    seconds: float | None
    """The task's, from its start to its end."""
    outputs: Mapping[str, str]
    """S3 URIs, by output name."""
    reason: str
    """Why the job or the task failed; empty if it didn't."""


class Reporter:
    """Reads a run's results from Airflow's XCom, SageMaker and S3."""

    def __init__(self, api: AirflowApi, sagemaker: LocalSageMaker, dag_id: str, run_id: str) -> None:
        self._api = api
        self._sagemaker = sagemaker
        self._dag_id = dag_id
        self.run_id = run_id

    def report(self, task: TaskInstance) -> TaskReport:
        """Return what became of a task."""
        xcoms = self._api.xcoms(self._dag_id, self.run_id, task.task_id, map_index=task.map_index)
        result = xcoms.get("return_value") or {}
        job = xcoms.get("job_name", "")
        failed = task.state != "success"
        return TaskReport(
            task=task.label,
            state=task.state,
            job=job,
            status=self._description(job)["ProcessingJobStatus"] if job else "not submitted",
            seconds=task.seconds,
            outputs=result.get("outputs", {}),
            reason=self._log_end(task) if failed else "",
        )

    def job_lines(self, task: TaskInstance) -> list[str]:
        """Return what the task's job has logged, from CloudWatch."""
        job = self._api.xcoms(self._dag_id, self.run_id, task.task_id, map_index=task.map_index).get("job_name")
        if job is None:
            return []
        logs = self._sagemaker.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{job}/")
        return [event["message"] for page in pages for event in page["events"]]

    def read_json(self, s3_uri: str) -> Any:
        """Return the object's content."""
        place = urlsplit(s3_uri)
        found = self._sagemaker.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
        return json.load(found["Body"])

    def _description(self, job: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job)
        return found

    def _log_end(self, task: TaskInstance) -> str:
        if task.state == "upstream_failed":
            return "an upstream task failed"
        lines = self._api.log(self._dag_id, self.run_id, task).splitlines()
        return "\n".join([line for line in lines if not line.startswith(_FOLDS)][-_SHOWN_LOG_LINES:])


def task_table(reports: Iterable[TaskReport]) -> Table:
    """Return the table of all tasks."""
    table = Table("Task", "Job", "Status", "Seconds", "Outputs")
    table.columns[1].overflow = "fold"
    table.columns[3].justify = "right"
    for report in reports:
        seconds = "" if report.seconds is None else f"{report.seconds:.1f}"
        table.add_row(report.task, report.job, report.status, seconds, ", ".join(report.outputs))
    return table


def output_lines(reports: Iterable[TaskReport]) -> list[str]:
    """Return a line for each output: an S3 URI is too long for a table."""
    return [f"{report.task}.{name}: {uri}" for report in reports for name, uri in report.outputs.items()]


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """Return the table of an evaluation's metrics."""
    table = Table("Metric", "Value")
    table.columns[1].justify = "right"
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    return table
