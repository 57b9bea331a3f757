"""Errors that Airflow treats in a way of its own."""

from __future__ import annotations

from airflow_sm_processing.airflow_compat import AirflowFailException
from airflow_sm_processing.exceptions import JobRejectedError
from airflow_sm_processing.operators.attempt import TaskDefinitionError


def test_a_rejected_definition_is_told_of_under_the_tasks_name_and_not_retried():
    rejected = JobRejectedError("sklearn-0a1b2c3d", code="ValidationException", reason="no such image")
    error = TaskDefinitionError.of(rejected, task_id="train")
    assert isinstance(error, AirflowFailException)
    assert error.problems == rejected.problems
    assert str(error) == (
        "1 problem in the definition of task train:\n"
        "  - CreateProcessingJob='sklearn-0a1b2c3d': ValidationException: no such image"
    )
