from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
from airflow.sdk.observability import stats
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_sm_processing.metrics import count_calls, job_ended
from airflow_sm_processing.processing import JobDescription, JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
STARTED = CREATED + timedelta(minutes=2)
JOB_TAGS = {"dag_id": "pipeline", "task_id": "train", "instance_type": "ml.m5.large"}


class Sent:
    """A StatsD client that keeps what it is to send."""

    def __init__(self) -> None:
        self.metrics: list[tuple[str, Any]] = []

    def incr(self, stat: str, count: int = 1, rate: float = 1) -> None:
        self.metrics.append((stat, count))

    def timing(self, stat: str, delta: Any) -> None:
        self.metrics.append((stat, delta))


@pytest.fixture
def sent() -> Iterator[Sent]:
    """What Airflow's own logger of metrics hands to its client, with tags in the metric's name."""
    client = Sent()
    stats.initialize(
        factory=lambda: SafeStatsdLogger(client, influxdb_tags_enabled=True, statsd_influxdb_enabled=True),
        export_legacy_names=False,
    )
    yield client
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


def tagged(name: str, **tags: str) -> str:
    return ",".join([name, *(f"{tag}={value}" for tag, value in tags.items())])


def ended(status: JobStatus, **changes: Any) -> JobDescription:
    times = {"created_at": CREATED, "started_at": STARTED, "ended_at": STARTED + timedelta(seconds=10.4)}
    resources = {"instance_type": "ml.m5.large", "instance_count": 2}
    return JobDescription(job_name="job", job_arn="arn", status=status, **{**times, **resources, **changes})


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED])
def test_a_job_is_counted_by_its_end_with_the_seconds_that_it_took(sent: Sent, status: JobStatus) -> None:
    job_ended(ended(status), dag_id="pipeline", task_id="train")

    assert sent.metrics == [
        (tagged(f"sm_processing.jobs.{status.value.lower()}", **JOB_TAGS), 1),
        (tagged("sm_processing.jobs.queue_duration", **JOB_TAGS), timedelta(minutes=2)),
        (tagged("sm_processing.jobs.run_duration", **JOB_TAGS), timedelta(seconds=10.4)),
        (tagged("sm_processing.jobs.instance_seconds", **JOB_TAGS), 21),
    ]


def test_a_job_that_never_started_took_no_seconds(sent: Sent) -> None:
    job_ended(ended(JobStatus.STOPPED, started_at=None), dag_id="pipeline", task_id="train")

    assert sent.metrics == [(tagged("sm_processing.jobs.stopped", **JOB_TAGS), 1)]


def test_metrics_that_can_not_be_sent_cost_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> Any:
        raise OSError("no route")

    stats.initialize(factory=refuse, export_legacy_names=False)
    try:
        job_ended(ended(JobStatus.COMPLETED), dag_id="pipeline", task_id="train")
    finally:
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)

    assert "The metrics of job job could not be sent: OSError('no route')" in caplog.text


THROTTLED = (400, {"__type": "ThrottlingException", "message": "slow down"})


def a_client(*answers: tuple[int, dict[str, Any]]) -> Any:
    """A client of SageMaker that is counted and gets these answers, with botocore's own retries."""
    left = list(answers)
    config = Config(retries={"total_max_attempts": 3, "mode": "standard"})
    client = boto3.Session("key", "secret", region_name="eu-west-1").client("sagemaker", config=config)

    def answer(request: Any, **_: Any) -> AWSResponse:
        status, body = left.pop(0)
        return AWSResponse(request.url, status, {}, Raw(json.dumps(body).encode()))

    client.meta.events.register("before-send", answer)
    count_calls(client)
    return client


class Raw:
    """A response's body."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


def test_each_look_at_jobs_is_counted(sent: Sent) -> None:
    client = a_client((200, {"ProcessingJobSummaries": []}), (200, {}))
    client.list_processing_jobs()
    client.stop_processing_job(ProcessingJobName="job")

    assert sent.metrics == [(tagged("sm_processing.polls", operation="ListProcessingJobs"), 1)]


def test_each_throttled_attempt_is_counted_whatever_the_call(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # between botocore's attempts
    client = a_client(THROTTLED, THROTTLED, (200, {}), THROTTLED, THROTTLED, THROTTLED)
    client.stop_processing_job(ProcessingJobName="job")
    with pytest.raises(ClientError):
        client.describe_processing_job(ProcessingJobName="job")

    stop = (tagged("sm_processing.throttles", operation="StopProcessingJob"), 1)
    poll = (tagged("sm_processing.polls", operation="DescribeProcessingJob"), 1)
    throttle = (tagged("sm_processing.throttles", operation="DescribeProcessingJob"), 1)
    assert sent.metrics == [stop, stop, poll, throttle, poll, throttle, poll, throttle]
