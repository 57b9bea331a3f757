from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest

from airflow_sm_processing.processing import JobDescription, ProcessingJob, Session
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.s3 import Size
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.processing.submission import SubmittedJob
from airflow_sm_processing.xcoms import Circumstances, ended_record, job_details, job_record, stopping_record

from .makers import IMAGE, JOB_ARN, an_input, an_output, definition, plan, response

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
TASKS = Circumstances(try_number=2, awaited=True, stop_on_kill=False, aws_conn_id="aws_default")
CONSOLE = "https://console.aws.amazon.com"
PAGES = {
    "Job": f"{CONSOLE}/sagemaker/home?region=eu-west-1#/processing-jobs/job",
    "Logs": f"{CONSOLE}/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252F"
    "ProcessingJobs$3FlogStreamNameFilter$3Djob$252F",
}
OUTPUTS_PAGE = f"{CONSOLE}/s3/buckets/results?region=eu-west-1&prefix=out%2F"


def a_session(environment: dict[str, str] | None = None, *, mask: Any = True, endpoint: str | None = None) -> Session:
    boto_session = boto3.Session("key", "secret", region_name="eu-west-1")
    client = boto_session.client("sagemaker", endpoint_url=endpoint)
    return Session(boto_session, client, secrets=JobSecrets(environment, mask=mask))


def a_made_job(session: Session, **changes: Any) -> ProcessingJob:
    return ProcessingJob.from_submitted(
        session, SubmittedJob(plan(definition(**changes)), JOB_ARN, output_kms_key=None)
    )


def test_a_job_that_was_just_made_is_recorded_as_it_was_asked_for() -> None:
    job = a_made_job(a_session(), instance_count=2, outputs=[an_output(output_name="out")])

    assert job_record(job, None, TASKS, now=NOW) == {
        "version": 1,
        "job_name": "job",
        "job_arn": JOB_ARN,
        "region": "eu-west-1",
        "status": "InProgress",
        "submitted_at": "2026-01-01T12:00:00+00:00",
        "created_at": None,
        "started_at": None,
        "ended_at": None,
        "duration_seconds": None,
        "instance_seconds": None,
        "instance_type": "ml.m5.xlarge",
        "instance_count": 2,
        "instance_preferences": [],
        "image_uri": IMAGE,
        "exit_message": None,
        "failure_reason": None,
        "stop_requested_at": None,
        "error_line": None,
        "links": {**PAGES, "Outputs": OUTPUTS_PAGE},
        "try_number": 2,
        "awaited": True,
        "stop_on_kill": False,
        "aws_conn_id": "aws_default",
    }


PREFERENCES = {
    "ClusterConfig": {
        "InstancePreferences": [{"InstanceType": "ml.m5.large"}, {"InstanceType": "ml.c5.large"}],
        "SelectedInstanceType": "ml.c5.large",
        "SelectedInstanceCount": 3,
        "VolumeSizeInGB": 30,
    }
}


def an_ended_job() -> JobDescription:
    return JobDescription.from_response(
        response(
            ProcessingJobStatus="Failed",
            ProcessingResources=PREFERENCES,
            FailureReason="AlgorithmError",
            ExitMessage="no rows",
            ProcessingStartTime=CREATED + timedelta(minutes=1),
            ProcessingEndTime=CREATED + timedelta(minutes=2),
        )
    )


END = {
    "status": "Failed",
    "created_at": "2026-01-01T00:00:00+00:00",
    "started_at": "2026-01-01T00:01:00+00:00",
    "ended_at": "2026-01-01T00:02:00+00:00",
    "duration_seconds": 60.0,
    "instance_seconds": 180.0,
    "exit_message": "no rows",
    "failure_reason": "AlgorithmError",
}


def test_a_job_that_has_ended_is_recorded_as_it_was_described() -> None:
    description = an_ended_job()
    job = ProcessingJob.from_description(a_session(), description)
    record = job_record(job, description, TASKS)

    assert record == {
        **job_record(job, None, TASKS),
        **END,
        "submitted_at": "2026-01-01T00:00:00+00:00",
        "instance_type": "ml.c5.large",
        "instance_count": 3,
        "instance_preferences": ["ml.m5.large", "ml.c5.large"],
        "links": PAGES,
    }


def test_a_job_that_is_stopping_is_recorded_with_when_that_was_seen() -> None:
    description = replace(an_ended_job(), status=JobStatus.STOPPING)
    record = job_record(ProcessingJob.from_description(a_session(), description), description, TASKS, now=NOW)
    assert (record["status"], record["stop_requested_at"]) == ("Stopping", "2026-01-01T12:00:00+00:00")

    before = datetime.now(timezone.utc)
    marked = stopping_record({"job_name": "job", "status": "InProgress"})
    assert (marked["job_name"], marked["status"]) == ("job", "Stopping")
    assert before <= datetime.fromisoformat(marked["stop_requested_at"]) <= datetime.now(timezone.utc)


def test_a_trigger_records_the_end_in_the_record_of_the_submission() -> None:
    submitted = job_record(a_made_job(a_session()), None, TASKS, now=NOW)

    ended = {**submitted, **END, "instance_type": "ml.c5.large", "instance_count": 3}
    assert ended_record(submitted, an_ended_job()) == ended


def test_the_details_have_the_request_and_what_there_is_in_s3() -> None:
    job = a_made_job(a_session(), inputs=[an_input(input_name="raw")], outputs=[an_output(output_name="out")])
    details = job_details(
        job,
        sizes={"s3://raw/data": Size(10, 2), "s3://results/out": Size(7, 1000, complete=False)},
        log_tail={"algo-1": ("one", "two")},
    )

    assert details == {
        "version": 1,
        "job_name": "job",
        "request": plan(
            definition(inputs=[an_input(input_name="raw")], outputs=[an_output(output_name="out")])
        ).request,
        "inputs": [
            {
                "name": "raw",
                "uri": "s3://raw/data",
                "container_path": "/opt/ml/processing/input",
                "link": f"{CONSOLE}/s3/buckets/raw?region=eu-west-1&prefix=data",
                "bytes": 10,
                "objects": 2,
                "complete": True,
            }
        ],
        "outputs": [
            {
                "name": "out",
                "uri": "s3://results/out",
                "container_path": "/opt/ml/processing/out",
                "link": f"{CONSOLE}/s3/buckets/results?region=eu-west-1&prefix=out",
                "bytes": 7,
                "objects": 1000,
                "complete": False,
            }
        ],
        "log_tail": [{"host": "algo-1", "lines": ["one", "two"]}],
    }


def test_what_was_not_measured_has_no_size_and_what_is_not_on_aws_no_page() -> None:
    job = a_made_job(a_session(endpoint="http://127.0.0.1:1"), inputs=[an_input(input_name="raw")])
    (shown,) = job_details(job, sizes={"s3://raw/data": None})["inputs"]

    assert (shown["bytes"], shown["objects"], shown["complete"], shown["link"]) == (None, None, False, None)
    assert job_record(job, None, TASKS)["links"] == {}


SECRET = {"TOKEN": "swordfish", "LEVEL": "debug"}


@pytest.mark.parametrize(
    ("mask", "shown", "argument"),
    [
        (True, {"TOKEN": "***", "LEVEL": "***"}, "--token=***"),
        (["TOKEN"], {"TOKEN": "***", "LEVEL": "debug"}, "--token=***"),
        (False, SECRET, "--token=swordfish"),
    ],
)
def test_the_request_shows_what_may_be_shown_of_the_environment(
    mask: Any, shown: dict[str, str], argument: str
) -> None:
    job = a_made_job(a_session(SECRET, mask=mask), env=SECRET, arguments=["--token=swordfish"])
    request = job_details(job)["request"]

    assert request["Environment"] == shown
    assert request["AppSpecification"]["ContainerArguments"] == [argument]


def test_the_request_shows_no_tags() -> None:
    job = a_made_job(a_session(), tags=[{"Key": "airflow:claim", "Value": "word"}])

    assert "Tags" not in job_details(job)["request"]
