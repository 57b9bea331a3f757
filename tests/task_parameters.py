"""Reads a task's parameters as a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_sm_processing.operators.base import BaseProcessingOperator
    from airflow_sm_processing.operators.parameters import WaitOptions
    from airflow_sm_processing.processing.definition import JobDefinition


def read_task(task: BaseProcessingOperator) -> tuple[JobDefinition, WaitOptions]:
    """Return the definition and the wait options of a task whose parameters are rendered."""
    options, problems = task.read_wait_options()
    return task.read_definition(problems), options
