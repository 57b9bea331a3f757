"""Metrics, through Airflow's own `Stats`: StatsD, OpenTelemetry or Datadog, as configured in Airflow's `[metrics]`.

    sm_processing.jobs.completed, .failed, .stopped    jobs whose end a task saw
    sm_processing.jobs.queue_duration                  from a job's creation to its container's start
    sm_processing.jobs.run_duration                    from its container's start to its end
    sm_processing.jobs.instance_seconds                the run duration summed over all instances, which AWS bills
    sm_processing.polls                                calls that read jobs' status, including retries
    sm_processing.throttles                            responses of AWS that there were too many calls

Metrics of jobs have the tags `dag_id`, `task_id` and `instance_type`, the others have `operation`.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.processing.description import JobDescription

__all__ = ["count_calls", "job_ended"]

log = logging.getLogger(__name__)

_POLLS = frozenset({"DescribeProcessingJob", "ListProcessingJobs"})


def job_ended(description: JobDescription, *, dag_id: str, task_id: str) -> None:
    """Count a job that has ended."""
    tags = {"dag_id": dag_id, "task_id": task_id, "instance_type": description.instance_type or "unknown"}
    created, started, ended = description.created_at, description.started_at, description.ended_at
    try:
        stats = _stats()
        stats.incr(f"sm_processing.jobs.{description.status.value.lower()}", tags=tags)
        if created is not None and started is not None:
            stats.timing("sm_processing.jobs.queue_duration", started - created, tags=tags)
        if started is not None and ended is not None:
            stats.timing("sm_processing.jobs.run_duration", ended - started, tags=tags)
        if description.instance_seconds is not None:
            stats.incr("sm_processing.jobs.instance_seconds", round(description.instance_seconds), tags=tags)
    except Exception as error:  # noqa: BLE001  # metrics systems raise many kinds; none may fail a task
        log.warning("The metrics of job %s could not be sent: %r", description.job_name, error)


def count_calls(client: Any) -> None:
    """Count a boto3 client's calls to SageMaker, including botocore's own retries."""
    client.meta.events.register("response-received", _count)


def _count(event_name: str, parsed_response: dict[str, Any] | None = None, **_: Any) -> None:
    """Handle botocore's event `response-received.<service>.<operation>`."""
    from airflow_sm_processing.processing.aws_calls import is_throttle

    operation = event_name.rpartition(".")[2]
    throttled = is_throttle(str((parsed_response or {}).get("Error", {}).get("Code")))
    try:
        if operation in _POLLS:
            _stats().incr("sm_processing.polls", tags={"operation": operation})
        if throttled:
            _stats().incr("sm_processing.throttles", tags={"operation": operation})
    except Exception as error:  # noqa: BLE001  # as above; none may fail a call
        log.debug("A call of %s could not be counted: %r", operation, error)


def _stats() -> Any:
    """Return Airflow's `Stats` of this process; since Airflow 3.2, tasks and triggerers have different ones."""
    if _is_triggerer():
        try:
            from airflow.observability.stats import Stats
        except ImportError:
            from airflow.stats import Stats  # type: ignore[assignment,unused-ignore]  # Airflow 3.1
        return Stats
    from airflow_sm_processing.airflow_compat import Stats as TaskStats

    return TaskStats


def _is_triggerer() -> bool:
    from airflow.sdk.execution_time import task_runner

    runner = sys.modules.get("airflow.jobs.triggerer_job_runner")  # a task doesn't load it
    return runner is not None and isinstance(
        getattr(task_runner, "SUPERVISOR_COMMS", None), getattr(runner, "TriggerCommsDecoder", ())
    )
