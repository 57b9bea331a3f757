from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobFailedError,
    JobNotFoundError,
    JobStoppedError,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing import (
    JobDescription,
    JobStatus,
    ProcessingJob,
    ProcessingOutput,
    Session,
    WaitSettings,
)
from airflow_sm_processing.processing.models import job_links

from .cloudwatch import CloudWatchLogs, refused
from .makers import JOB_ARN, an_input, an_output, response

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3
    from botocore.stub import Stubber

STREAM = "job/algo-1-17"
NAMED = {"ProcessingJobName": "job"}
QUICK = WaitSettings(poll_interval=0, log_settle_seconds=0)


@pytest.fixture
def cloudwatch() -> CloudWatchLogs:
    return CloudWatchLogs()


@pytest.fixture
def job(
    boto_session: boto3.Session, clients: Mapping[str, Any], stubs: dict[str, Stubber], cloudwatch: CloudWatchLogs
) -> ProcessingJob:
    of_service = {**clients, "logs": cast("Any", cloudwatch)}
    session = Session(boto_session, client_factory=of_service.__getitem__, default_bucket="bucket")
    return ProcessingJob(session, "job", [an_input()], [an_output(output_name="train")])


def describes(stubs: dict[str, Stubber], *statuses: str, **fields: Any) -> None:
    for status in statuses:
        answer = response(ProcessingJobStatus=status, **fields)
        stubs["sagemaker"].add_response("describe_processing_job", answer, NAMED)


def test_it_knows_its_name_and_where_its_outputs_are(job: ProcessingJob) -> None:
    outputs = [*job.outputs, ProcessingOutput(output_name="group")]
    other = ProcessingJob(job.sagemaker_session, "job", None, outputs)

    assert (job.name, job.inputs, repr(job)) == ("job", [an_input()], "ProcessingJob('job')")
    assert other.output_uris == {"train": "s3://results/out"}


def test_a_finished_job_is_described(job: ProcessingJob, stubs: dict[str, Stubber]) -> None:
    describes(stubs, "InProgress", "Completed", "Completed")

    assert job.wait(settings=QUICK) == JobDescription.from_response(response(ProcessingJobStatus="Completed"))
    assert job.describe()["ProcessingJobStatus"] == "Completed"


@pytest.mark.parametrize(("status", "kind"), [("Failed", JobFailedError), ("Stopped", JobStoppedError)])
@pytest.mark.parametrize("logs", [True, False])
def test_a_job_that_ended_otherwise_raises_all_that_is_known(
    job: ProcessingJob,
    stubs: dict[str, Stubber],
    cloudwatch: CloudWatchLogs,
    status: str,
    kind: type[JobFailedError],
    logs: bool,
) -> None:
    cloudwatch.write(STREAM, "a", "b")
    describes(stubs, status, FailureReason="AlgorithmError", ExitMessage="no rows")

    with pytest.raises(kind) as caught:
        job.wait(logs=logs, settings=QUICK)

    error = caught.value
    assert type(error) is kind
    assert (error.job_name, error.status, error.failure_reason, error.exit_message, error.log_tails, error.links) == (
        "job",
        status,
        "AlgorithmError",
        "no rows",
        {"algo-1": ("a", "b")},
        job_links("job", region="eu-west-1", partition="aws", output_uris=["s3://results/out"]),
    )


def test_the_end_itself_raises_nothing(job: ProcessingJob, stubs: dict[str, Stubber]) -> None:
    describes(stubs, "Failed")

    assert job.wait_for_end(settings=QUICK).status is JobStatus.FAILED


@pytest.mark.parametrize(
    ("status", "seconds", "told"),
    [
        ("Completed", 84, "completed in 1 min 24 s."),
        ("Failed", 4, "failed after 4.0 s."),
        ("Stopped", 7200, "stopped after 120 min 0 s."),
        ("Stopped", None, "stopped without having started."),
    ],
)
def test_the_end_is_logged_with_how_long_the_job_itself_took(
    job: ProcessingJob,
    stubs: dict[str, Stubber],
    caplog: pytest.LogCaptureFixture,
    status: str,
    seconds: int | None,
    told: str,
) -> None:
    caplog.set_level(logging.INFO)
    began = datetime(2026, 1, 1, tzinfo=timezone.utc)
    ended = {"ProcessingEndTime": began + timedelta(seconds=seconds or 0)}
    describes(stubs, status, **ended, **({} if seconds is None else {"ProcessingStartTime": began}))

    job.wait_for_end(logs=False, settings=QUICK)

    assert f"Processing job job {told}" in caplog.messages


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(
    job: ProcessingJob, stubs: dict[str, Stubber], cloudwatch: CloudWatchLogs
) -> None:
    cloudwatch.write(STREAM, "a")
    cloudwatch._failing_calls = frozenset({0})
    describes(stubs, "Failed")

    with pytest.raises(JobFailedError) as caught:
        job.wait(logs=False)

    reason = "(the log can't be read: DescribeLogStreams for job failed: ThrottlingException: why. It may work later.)"
    assert caught.value.log_tails == {"every host": (reason,)}


def test_lines_are_logged_or_given_to_the_sink(
    job: ProcessingJob, stubs: dict[str, Stubber], cloudwatch: CloudWatchLogs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    got: list[str] = []
    cloudwatch.write(STREAM, "100 %s")
    describes(stubs, "Completed", "Completed")

    job.wait(settings=QUICK)
    cloudwatch.write(STREAM, "second")
    job.wait(settings=QUICK, sink=lambda line: got.append(line.message))

    shown = [record.getMessage() for record in caplog.records if record.name.endswith(".lines")]
    assert (shown, got) == (["[algo-1] 1970-01-01T00:00:00.000Z 100 %s"], ["second"])


def test_lines_are_printed_where_nobody_has_set_up_logging(
    job: ProcessingJob,
    stubs: dict[str, Stubber],
    cloudwatch: CloudWatchLogs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    cloudwatch.write(STREAM, "100 %s")
    describes(stubs, "Completed")

    job.wait(settings=QUICK)

    assert capsys.readouterr().out == "[algo-1] 1970-01-01T00:00:00.000Z 100 %s\n"


def test_without_logs_cloudwatch_is_not_asked(
    job: ProcessingJob, stubs: dict[str, Stubber], cloudwatch: CloudWatchLogs
) -> None:
    describes(stubs, "Completed")

    job.wait(logs=False)

    assert cloudwatch.calls == 0


def test_a_running_job_is_stopped(job: ProcessingJob, stubs: dict[str, Stubber]) -> None:
    stubs["sagemaker"].add_response("stop_processing_job", {}, NAMED)

    assert job.stop() is None


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped", "Stopping"])
def test_stopping_a_job_that_ends_anyway_changes_nothing(
    job: ProcessingJob, stubs: dict[str, Stubber], status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stubs["sagemaker"].add_client_error("stop_processing_job", "ValidationException", "The job has ended")
    describes(stubs, status)

    job.stop()

    assert caplog.messages == [f"Processing job job is {status} already."]


@pytest.mark.parametrize(
    ("code", "kind", "described"),
    [
        ("ValidationException", ServiceError, ["InProgress"]),
        ("ThrottlingException", TransientError, []),
        ("AccessDeniedException", AccessDeniedError, []),
        ("ResourceNotFound", JobNotFoundError, []),
    ],
)
def test_a_stop_that_failed_says_so(
    job: ProcessingJob, stubs: dict[str, Stubber], code: str, kind: type[ServiceError], described: list[str]
) -> None:
    stubs["sagemaker"].add_client_error("stop_processing_job", code, "why")
    describes(stubs, *described)

    with pytest.raises(ServiceError) as caught:
        job.stop()

    assert (type(caught.value), caught.value.operation) == (kind, "StopProcessingJob")


@pytest.mark.parametrize("by_arn", [False, True])
def test_a_job_that_exists_is_found_with_its_inputs_and_outputs(
    session: Session, stubs: dict[str, Stubber], by_arn: bool
) -> None:
    found = response(
        ProcessingJobName="Job",
        ProcessingInputs=[an_input(input_name="a").to_boto()],
        ProcessingOutputConfig={"Outputs": [an_output(output_name="b").to_boto()], "KmsKeyId": "key"},
    )
    stubs["sagemaker"].add_response("describe_processing_job", found, NAMED)

    find = ProcessingJob.from_processing_arn if by_arn else ProcessingJob.from_processing_name
    job = find(session, JOB_ARN if by_arn else "job")

    assert (job.job_name, job.job_arn, job.output_kms_key) == ("Job", JOB_ARN, "key")
    assert (job.inputs, job.outputs) == ([an_input(input_name="a")], [an_output(output_name="b")])


def test_a_job_that_does_not_exist_is_told(session: Session, stubs: dict[str, Stubber]) -> None:
    stubs["sagemaker"].add_client_error("describe_processing_job", "ResourceNotFound", "no such job")

    with pytest.raises(JobNotFoundError) as caught:
        ProcessingJob.from_processing_name(session, "job")

    assert (caught.value.operation, caught.value.code) == ("DescribeProcessingJob", "ResourceNotFound")


def test_a_handle_on_a_job_needs_no_logs_client(boto_session: boto3.Session, clients: dict[str, Any]) -> None:
    def only_sagemaker(service_name: str, /) -> Any:
        if service_name != "sagemaker":
            raise refused(service_name, "AccessDenied")
        return clients[service_name]

    job = ProcessingJob(Session(boto_session, client_factory=only_sagemaker), "job", None, None)

    assert job.links() == job_links("job", region="eu-west-1", partition="aws")
