"""Faults go wrong as they were asked to, and nothing else does."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_processing.local import Fault, LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bench import Bench


@pytest.fixture
def faulty(bench: Bench) -> Iterator[Bench]:
    """A bench whose faults are taken back; its SageMaker client doesn't retry."""
    bench.sagemaker = boto3.client(
        "sagemaker",
        endpoint_url=bench.server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=bench.server.key.access_key_id,
        aws_secret_access_key=bench.server.key.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield bench
    bench.server.set_faults()
    bench.sagemaker.close()


def _code(bench: Bench) -> str:
    try:
        bench.sagemaker.list_processing_jobs()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def _codes(bench: Bench, calls: int) -> list[str]:
    return [_code(bench) for _ in range(calls)]


def test_a_throttled_operation_passes_its_rate_and_no_more(faulty: Bench):
    faulty.server.set_faults("ListProcessingJobs:throttle=2")
    began = time.monotonic()
    codes = _codes(faulty, 40)
    allowed = 2 + 2 * (time.monotonic() - began)
    assert set(codes) == {"ok", "ThrottlingException"}
    assert 2 <= codes.count("ok") <= allowed
    faulty.sagemaker.describe_processing_job(ProcessingJobName=faulty.create(["true"]))


def test_an_error_rate_repeats_with_its_seed(faulty: Bench):
    fault = "ListProcessingJobs:error=InternalFailure,status=500,rate=0.5"
    runs = []
    for seed in (1, 1, 2):
        faulty.server.set_faults(fault, seed=seed)
        runs.append(_codes(faulty, 20))
    assert set(runs[0]) == {"ok", "InternalFailure"}
    assert runs[0] == runs[1] != runs[2]


def test_an_error_comes_so_many_times(faulty: Bench):
    faulty.server.set_faults(Fault(operation="ListProcessingJobs", error="ThrottlingException", times=2))
    assert _codes(faulty, 4) == ["ThrottlingException", "ThrottlingException", "ok", "ok"]


def test_create_can_be_refused_for_quota(faulty: Bench):
    faulty.server.set_faults("CreateProcessingJob:error=ResourceLimitExceeded,times=1")
    with pytest.raises(faulty.sagemaker.exceptions.ResourceLimitExceeded):
        faulty.create(["true"], name="quota-1")
    assert faulty.run(["true"], name="quota-1")["ProcessingJobStatus"] == "Completed"


def test_an_answer_can_be_lost_after_the_job_was_made(faulty: Bench):
    faulty.server.set_faults("CreateProcessingJob:drop=after,times=1")
    with pytest.raises(ConnectionClosedError):
        faulty.create(["true"], name="lost-after")
    assert faulty.end("lost-after")["ProcessingJobStatus"] == "Completed"


def test_a_connection_can_be_lost_before_the_job_is_made(faulty: Bench):
    faulty.server.set_faults("CreateProcessingJob:drop=before,times=1")
    with pytest.raises(ConnectionClosedError):
        faulty.create(["true"], name="lost-before")
    with pytest.raises(ClientError, match=r"ValidationException.*Could not find requested job with name: lost-before"):
        faulty.describe("lost-before")


def test_latency_delays_the_answer(faulty: Bench):
    faulty.server.set_faults("s3:ListObjectsV2:latency=0.3")
    began = time.monotonic()
    faulty.s3.list_objects_v2(Bucket=faulty.bucket)
    assert time.monotonic() - began >= 0.3


def test_a_job_can_fail_for_want_of_capacity(faulty: Bench):
    faulty.server.set_faults("RunProcessingJob:error=CapacityError,job=big-*")
    job = faulty.run(["true"], name="big-1")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity.")
    assert faulty.run(["true"], name="small-1")["ProcessingJobStatus"] == "Completed"


def test_a_job_can_start_late_and_be_stopped_before_it_does(faulty: Bench):
    faulty.server.set_faults("RunProcessingJob:latency=0.5,job=late-1", "RunProcessingJob:latency=600,job=late-2")
    job = faulty.run(["true"], name="late-1")
    assert (job["ProcessingStartTime"] - job["CreationTime"]).total_seconds() >= 0.5
    faulty.create(["true"], name="late-2")
    faulty.sagemaker.stop_processing_job(ProcessingJobName="late-2")
    stopped = faulty.end("late-2")
    assert (stopped["ProcessingJobStatus"], "ProcessingStartTime" in stopped) == ("Stopped", False)


def test_a_role_can_be_denied(faulty: Bench):
    faulty.server.set_faults(Fault.denied_role("DeniedRole"))
    denied = "arn:aws:iam::123456789012:role/DeniedRole"
    with pytest.raises(ClientError, match=f"ValidationException.*Could not assume role {denied}"):
        faulty.create(["true"], RoleArn=denied)
    assert faulty.run(["true"])["ProcessingJobStatus"] == "Completed"


def test_the_servers_own_calls_meet_no_faults(faulty: Bench):
    faulty.server.set_faults("s3:*:error=SlowDown,status=503", "logs:*:error=ThrottlingException")
    name = faulty.create(["sh", "-c", "echo logged"])
    assert faulty.end(name)["ProcessingJobStatus"] == "Completed"
    faulty.server.set_faults()
    assert faulty.logs(name) == {"algo-1": ["logged"]}


def _admin(server: LocalSageMaker, method: str, body: Any = None, *, secret: str | None = None) -> tuple[int, Any]:
    address = urlsplit(server.endpoint_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {"X-Local-SageMaker-Secret": server.key.secret_access_key if secret is None else secret}
    connection.request(method, "/_local/faults", json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer[0], json.loads(answer[1]) if answer[0] == 200 else answer[1].decode()


def test_faults_can_be_set_over_http_with_the_secret(faulty: Bench):
    server = faulty.server
    status, faults = _admin(server, "PUT", {"faults": ["ListProcessingJobs:error=ThrottlingException,times=1"]})
    assert (status, [fault["error"] for fault in faults]) == (200, ["ThrottlingException"])
    assert _codes(faulty, 2) == ["ThrottlingException", "ok"]
    assert _admin(server, "PUT", {"faults": [{"operation": "X", "latency": 1.0}]})[0] == 200
    assert _admin(server, "PUT", {"faults": []}) == (200, [])
    assert _admin(server, "GET") == (200, [])


@pytest.mark.parametrize("body", [{"faults": ["nonsense"]}, {"faults": [{"colour": 1}]}, {}, [], "x"], ids=str)
def test_faults_that_make_no_sense_are_refused(faulty: Bench, body: Any):
    status, answer = _admin(faulty.server, "PUT", body)
    assert (status, "OPERATION:KEY=VALUE" in answer) == (400, True)


def test_faults_cannot_be_set_without_the_secret(faulty: Bench):
    assert _admin(faulty.server, "PUT", {"faults": []}, secret="")[0] == 403
    assert _admin(faulty.server, "GET", secret="x" * 40)[0] == 403
