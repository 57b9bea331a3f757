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

_SHOWN_LOG_LINES = 40
_FOLDS = ("::group::", "::endgroup::")  # marks for the UI, which folds what is between


@dataclass(frozen=True, kw_only=True)
class TaskJob:
    """The job of a task, as the task's XComs name it."""

    kind: str
    """Processing or Training."""
    name: str
    outputs: Mapping[str, str]
    """S3 URIs, by output name."""

    @classmethod
    def from_xcoms(cls, xcoms: Mapping[str, Any]) -> TaskJob | None:
        """Read what our operators push, or the amazon provider's training operator; None before there is a job."""
        result = xcoms.get("return_value") or {}
        if trained := result.get("Training"):
            model = trained["ModelArtifacts"]["S3ModelArtifacts"]
            return cls(kind="Training", name=trained["TrainingJobName"], outputs={"model": model})
        if name := xcoms.get("job_name"):
            return cls(kind="Processing", name=name, outputs=result.get("outputs", {}))
        return None


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """One task, its job, and where its outputs are."""

    task: str
    state: str | None
    kind: str
    """Processing or Training, empty if no job was submitted."""
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
        job = self._job(task)
        return TaskReport(
            task=task.label,
            state=task.state,
            kind=job.kind if job else "",
            job=job.name if job else "",
            status=self._status(job) if job else "not submitted",
            seconds=task.seconds,
            outputs=job.outputs if job else {},
            reason="" if task.state == "success" else self._log_end(task),
        )

    def job_lines(self, task: TaskInstance) -> list[str]:
        """Return what the task's job has logged, from CloudWatch."""
        job = self._job(task)
        if job is None:
            return []
        place = {"logGroupName": f"/aws/sagemaker/{job.kind}Jobs", "logStreamNamePrefix": f"{job.name}/"}
        pages = self._sagemaker.client("logs").get_paginator("filter_log_events").paginate(**place)
        return [event["message"] for page in pages for event in page["events"]]

    def read_json(self, s3_uri: str) -> Any:
        """Return the object's content."""
        place = urlsplit(s3_uri)
        found = self._sagemaker.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
        return json.load(found["Body"])

    def _job(self, task: TaskInstance) -> TaskJob | None:
        return TaskJob.from_xcoms(self._api.xcoms(self._dag_id, self.run_id, task.task_id, map_index=task.map_index))

    def _status(self, job: TaskJob) -> str:
        client = self._sagemaker.client("sagemaker")
        if job.kind == "Training":
            return str(client.describe_training_job(TrainingJobName=job.name)["TrainingJobStatus"])
        return str(client.describe_processing_job(ProcessingJobName=job.name)["ProcessingJobStatus"])

    def _log_end(self, task: TaskInstance) -> str:
        if task.state == "upstream_failed":
            return "an upstream task failed"
        lines = self._api.log(self._dag_id, self.run_id, task).splitlines()
        return "\n".join([line for line in lines if not line.startswith(_FOLDS)][-_SHOWN_LOG_LINES:])


def task_table(reports: Iterable[TaskReport]) -> Table:
    """Return the table of all tasks."""
    table = Table("Task", "Kind", "Job", "Status", "Seconds", "Outputs")
    table.columns[2].overflow = "fold"
    table.columns[4].justify = "right"
    for report in reports:
        seconds = "" if report.seconds is None else f"{report.seconds:.1f}"
        table.add_row(report.task, report.kind, report.job, report.status, seconds, ", ".join(report.outputs))
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
