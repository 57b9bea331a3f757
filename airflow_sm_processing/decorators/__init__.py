"""Python functions as SageMaker processing jobs: `@task.sm_processing`."""

from __future__ import annotations

from airflow_sm_processing.decorators.operator import sm_processing_task

__all__ = ["sm_processing_task"]
