"""The sizes of what a job read and wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.hooks.processing import ProcessingHook
from airflow_sm_processing.operators.job_run import measured
from airflow_sm_processing.processing.description import JobDescription, JobStatus

if TYPE_CHECKING:
    import pytest


def test_a_job_without_data_needs_no_client_of_s3(monkeypatch: pytest.MonkeyPatch):
    services: list[str] = []
    monkeypatch.setattr(ProcessingHook, "single_attempt_client", lambda _, service: services.append(service))
    description = JobDescription(job_name="a-job", job_arn="an-arn", status=JobStatus.COMPLETED)
    assert measured(ProcessingHook(None), description) == {}
    assert services == []
