"""How long a task may wait, by its own parameters and by Airflow's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_sm_processing.triggers.events import Deadline

__all__ = ["passed_deadline", "wait_deadline"]


def wait_deadline(task: BaseOperator, context: Context, *, max_wait: float | None) -> Deadline | None:
    """Give the moment when the wait ends: `max_wait` seconds from now, or with the task's `execution_timeout`."""
    from airflow_sm_processing.triggers.events import earliest_deadline

    return earliest_deadline(
        max_wait=max_wait, execution_timeout=task.execution_timeout, task_started=context["ti"].start_date
    )


def passed_deadline(task: BaseOperator, context: Context) -> Deadline:
    """Give the deadline that ended a deferral: one more look at the job, and the wait is over."""
    from airflow_sm_processing.triggers.events import Deadline

    execution = wait_deadline(task, context, max_wait=None)
    return execution if execution is not None and execution.seconds_left <= 0 else Deadline(0.0, "max_wait")
