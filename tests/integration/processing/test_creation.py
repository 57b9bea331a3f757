"""A job is created once, however the call goes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from airflow_sm_processing.exceptions import JobNameInUseError, JobRejectedError, TransientError
from airflow_sm_processing.processing.submission import create_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.local import LocalSageMaker

_numbers = itertools.count()


@pytest.fixture
def request_body(sagemaker: LocalSageMaker) -> dict[str, Any]:
    """A request of a name of its own."""
    return {
        "ProcessingJobName": f"created-{next(_numbers)}",
        "RoleArn": f"arn:aws:iam::{sagemaker.account_id}:role/SageMakerRole",
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
        "Tags": [{"Key": "owner", "Value": "me"}],
    }


@pytest.fixture
def client(sagemaker: LocalSageMaker) -> Any:
    """A client as boto3 makes it by itself, which tries calls again."""
    return boto3.client(
        "sagemaker",
        endpoint_url=sagemaker.endpoint_url,
        region_name=sagemaker.region,
        aws_access_key_id=sagemaker.key.access_key_id,
        aws_secret_access_key=sagemaker.key.secret_access_key,
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
    )


@pytest.fixture
def faults(sagemaker: LocalSageMaker) -> Iterator[Any]:
    """Sets faults, and takes them back."""
    yield sagemaker.set_faults
    sagemaker.set_faults()


def jobs_of(client: Any, request_body: dict[str, Any]) -> int:
    name = request_body["ProcessingJobName"]
    return len(client.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"])


def test_a_lost_answer_makes_one_job_and_no_error(client: Any, request_body: dict[str, Any], faults: Any):
    faults("CreateProcessingJob:drop=after,times=1")
    arn = create_job(client, request_body, own_name=True)
    assert arn.endswith(f":processing-job/{request_body['ProcessingJobName']}")
    assert jobs_of(client, request_body) == 1


def test_a_name_that_the_user_chose_is_never_taken_over(client: Any, request_body: dict[str, Any]):
    client.create_processing_job(**request_body)
    with pytest.raises(JobNameInUseError):
        create_job(client, request_body, own_name=False)


def test_the_same_request_of_somebody_else_is_not_ours(client: Any, request_body: dict[str, Any]):
    client.create_processing_job(**request_body)
    with pytest.raises(JobNameInUseError):
        create_job(client, request_body, own_name=True)


@pytest.mark.parametrize(
    "change",
    [
        {"AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["false"]}},
        {"AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true", "x"]}},
        {"Environment": {"A": "1"}},
    ],
)
def test_another_job_of_the_name_is_not_ours(
    client: Any, request_body: dict[str, Any], change: dict[str, Any], faults: Any
):
    client.create_processing_job(**request_body)
    faults("CreateProcessingJob:drop=before,times=1")  # so that the call is tried again
    with pytest.raises(JobNameInUseError):
        create_job(client, request_body | change, own_name=True)


def test_a_quota_is_waited_out(client: Any, request_body: dict[str, Any], faults: Any):
    faults("CreateProcessingJob:error=ResourceLimitExceeded,times=2")
    pauses: list[float] = []
    create_job(client, request_body, own_name=True, max_transient_seconds=60, sleep=pauses.append)
    assert len(pauses) == 2
    assert all(0 <= pause <= longest for pause, longest in zip(pauses, (1, 2), strict=True))


def test_patience_has_its_bound(client: Any, request_body: dict[str, Any], faults: Any):
    faults("CreateProcessingJob:error=ResourceLimitExceeded")
    with pytest.raises(TransientError, match="ResourceLimitExceeded"):
        create_job(client, request_body, own_name=True)


def test_a_rejected_request_is_not_tried_again(client: Any, request_body: dict[str, Any]):
    def no_pause(seconds: float) -> None:
        pytest.fail(f"paused for {seconds} s")

    bad = request_body | {"RoleArn": "arn:aws:iam::123456789012:nonsense/x"}
    with pytest.raises(JobRejectedError, match="ValidationException"):
        create_job(client, bad, own_name=True, max_transient_seconds=60, sleep=no_pause)
