from __future__ import annotations

from typing import Any

from airflow_sm_processing.processing import JobStatus


def test_it_has_every_status_of_the_model_and_no_other(clients: dict[str, Any]) -> None:
    enum = clients["sagemaker"].meta.service_model.shape_for("ProcessingJobStatus").enum

    assert {status.value for status in JobStatus} == set(enum)


def test_what_has_ended_and_what_succeeded() -> None:
    assert {status for status in JobStatus if status.is_terminal} == {
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.STOPPED,
    }
    assert {status for status in JobStatus if status.is_success} == {JobStatus.COMPLETED}


def test_it_reads_as_its_value() -> None:
    assert [str(status) for status in JobStatus] == ["InProgress", "Stopping", "Stopped", "Completed", "Failed"]
