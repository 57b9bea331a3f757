"""An answer that can't be read is a trouble that may pass, and says of which job and what is wrong with it."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import MalformedResponseError, TransientError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.ownership.claim import Account
from airflow_sm_processing.processing import ProcessingOutput, Processor
from airflow_sm_processing.processing.job import JobLookup, find_job
from airflow_sm_processing.processing.s3 import measure, read_object
from airflow_sm_processing.processing.submission import create_job
from airflow_sm_processing.processing.waiter import JobLogs
from tests.malformed_answers import (
    CREATE,
    DESCRIBE,
    LIST,
    LOGS,
    ODD_DESCRIPTIONS,
    S3,
    S3_OBJECTS,
    STREAMS,
    TAGS,
    Malformed,
)
from tests.spoiling_relay import SpoilingRelay
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob, Session

ENDED = "ended-" + uuid.uuid4().hex[:8]
RESULT = f"s3://sagemaker-us-east-1-123456789012/{ENDED}/output/o/r.txt"


@pytest.fixture(scope="module")
def relay() -> Iterator[SpoilingRelay]:
    with SpoilingRelay() as relay:
        yield relay


@pytest.fixture(scope="module")
def session(relay: SpoilingRelay, sagemaker: LocalSageMaker) -> Iterator[Session]:
    """Its clients call through the relay, and try each call once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (sagemaker.environment() | relay.environment()).items():
            patch.setenv(name, value)
        yield AwsConnection(botocore_config={"retries": {"total_max_attempts": 1, "mode": "standard"}}).hook().session


def processor(session: Session) -> Any:
    return Processor(
        "SageMakerRole",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        1,
        "ml.m5.xlarge",
        entrypoint=[sys.executable, "-c"],
        env={"A": "b"},
        tags=[{"Key": "a", "Value": "b"}],
        sagemaker_session=session,
    )


@pytest.fixture(scope="module")
def job(session: Session) -> ProcessingJob:
    """One that has ended, with an output, a tag and a line in its log."""
    line = "open('/opt/ml/processing/o/r.txt', 'w').write('7'); print('a line')"
    output = ProcessingOutput("/opt/ml/processing/o", output_name="o")
    job: ProcessingJob = processor(session).run(
        arguments=[line], outputs=[output], job_name=ENDED, wait=False, logs=False
    )
    wait_until(lambda: job.description().status.is_terminal, shows=job.description)
    return job


def check(relay: SpoilingRelay, operation: str, answer: Malformed, ask: Callable[[], Any], about: str) -> None:
    """Ask twice: the spoilt answer is a trouble that names the call and what it is about; the next is as any."""
    relay.spoil(operation, [answer])
    with pytest.raises(TransientError) as caught:
        ask()
    assert relay.left() == {}
    assert f"{operation} for {about}" in str(caught.value)
    assert len(str(caught.value)) < 800
    if answer.length is None and operation not in {"ListObjectsV2", "GetObject"}:  # botocore makes a 500 of some
        assert type(caught.value) is MalformedResponseError
    ask()


@pytest.mark.parametrize("answer", DESCRIBE, ids=str)
def test_a_description_that_cannot_be_read(relay: SpoilingRelay, job: ProcessingJob, answer: Malformed) -> None:
    check(relay, "DescribeProcessingJob", answer, job.description, ENDED)


@pytest.mark.parametrize("answer", ODD_DESCRIPTIONS, ids=str)
def test_a_description_that_is_odd_is_read(relay: SpoilingRelay, job: ProcessingJob, answer: Malformed) -> None:
    relay.spoil("DescribeProcessingJob", [answer])

    description = job.description()

    assert description.status.is_terminal is not answer.id.startswith("status")
    assert description.created_at is None or description.created_at.tzinfo is not None


@pytest.mark.parametrize("answer", LIST, ids=str)
def test_a_listing_that_cannot_be_read(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    check(relay, "ListProcessingJobs", answer, lambda: Account(session).names_with(ENDED), ENDED)
    sought = JobLookup(job_name_prefix=ENDED)
    check(relay, "ListProcessingJobs", answer, lambda: find_job(session, sought), str(sought))


@pytest.mark.parametrize("answer", TAGS, ids=str)
def test_tags_that_cannot_be_read(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    arn = str(job.job_arn)
    check(relay, "ListTags", answer, lambda: Account(session).tags(arn), arn)


@pytest.mark.parametrize("answer", STREAMS, ids=str)
def test_streams_that_cannot_be_read(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    logs = JobLogs(session.logs_client, ENDED)
    check(relay, "DescribeLogStreams", answer, lambda: list(logs.new_lines()), ENDED)


@pytest.mark.parametrize("answer", LOGS, ids=str)
def test_lines_that_cannot_be_read_come_later(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    logs = JobLogs(session.logs_client, ENDED)
    lines: list[str] = []

    def ask() -> None:
        lines.extend(line.message for line in logs.new_lines())

    check(relay, "GetLogEvents", answer, ask, f"{ENDED}/algo-1")
    assert "a line" in lines


@pytest.mark.parametrize("answer", CREATE, ids=str)
def test_the_job_of_a_creation_whose_answer_cannot_be_read_is_found(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    name = f"made-{uuid.uuid4().hex[:8]}"
    request = {**session.sagemaker_client.describe_processing_job(ProcessingJobName=ENDED), "ProcessingJobName": name}
    request = {key: value for key, value in request.items() if key in {*job.request, "ProcessingJobName"}}
    del request["ProcessingOutputConfig"]
    relay.spoil("CreateProcessingJob", [answer])

    arn = create_job(session.sagemaker_client, request, own_name=True, max_transient_seconds=60, sleep=lambda _: None)

    assert relay.left() == {}
    assert arn.endswith(name)


@pytest.mark.parametrize("answer", S3, ids=str)
def test_a_size_that_cannot_be_read(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    check(relay, "ListObjectsV2", answer, lambda: measure(session.s3_client, RESULT), RESULT)


@pytest.mark.parametrize("answer", S3_OBJECTS, ids=str)
def test_a_content_that_is_not_the_objects(
    relay: SpoilingRelay, session: Session, job: ProcessingJob, answer: Malformed
) -> None:
    check(relay, "GetObject", answer, lambda: read_object(session, RESULT, max_bytes=1_000_000), RESULT)
