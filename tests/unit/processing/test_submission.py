"""Check, upload, create: in that order, and nothing of it when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import (
    CapacityError,
    DefinitionError,
    JobNameInUseError,
    JobRejectedError,
    Problem,
    UploadError,
)
from airflow_sm_processing.processing import ProcessingJob, Session

from .makers import JOB_ARN, ROLE_ARN, an_input, an_output, definition, plan, script

if TYPE_CHECKING:
    from pathlib import Path

    import boto3
    from botocore.stub import Stubber

ROLE = {
    "Path": "/",
    "RoleName": "SageMakerRole",
    "RoleId": "AROAMADEUPMADEUP",
    "Arn": ROLE_ARN,
    "CreateDate": "2026-01-01T00:00:00Z",
}


def test_the_planned_request_is_sent(session: Session, stubs: dict[str, Stubber]) -> None:
    job = script(inputs=(an_input(),), outputs=(an_output(destination=None),), output_kms_key="key")
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, plan(job).request)

    submitted = ProcessingJob.submit(job, session)

    assert (submitted.job_name, submitted.job_arn, submitted.output_kms_key) == ("job", JOB_ARN, "key")
    assert submitted.inputs == list(plan(job).inputs)
    assert submitted.output_uris == {"output-1": "s3://bucket/job/output/output-1"}


def test_the_default_buckets_prefix_stands_before_every_key(stubs: dict[str, Stubber], session_factory: Any) -> None:
    job = definition(outputs=(an_output(destination=None),))
    request = plan(job, prefix="team/a").request
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, request)

    submitted = ProcessingJob.submit(job, session_factory(default_bucket="bucket", default_bucket_prefix="team/a"))

    assert submitted.output_uris == {"output-1": "s3://bucket/team/a/job/output/output-1"}


def test_a_role_name_is_expanded_before(session: Session, stubs: dict[str, Stubber]) -> None:
    stubs["iam"].add_response("get_role", {"Role": ROLE}, {"RoleName": "SageMakerRole"})
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, plan(definition()).request)

    assert ProcessingJob.submit(definition(role="SageMakerRole"), session).job_arn == JOB_ARN


def test_nothing_is_called_when_something_is_wrong(
    boto_session: boto3.Session, clients: dict[str, Any], stubs: dict[str, Stubber], tmp_path: Path
) -> None:
    """The stubs answer no call, and no client but SageMaker's, whose model has the limits, is even made."""
    (tmp_path / "run.py").touch()
    made: list[str] = []
    found = Problem("poll_interval", -1, "must be positive")

    def factory(service_name: str, /) -> Any:
        made.append(service_name)
        return clients[service_name]

    job = script(role="SageMakerRole", code=str(tmp_path / "run.py"), instance_count=0)
    with pytest.raises(DefinitionError) as caught:
        ProcessingJob.submit(job, Session(boto_session, client_factory=factory), extra_problems=[found])

    assert caught.value.problems == (found, Problem("instance_count", 0, "must be 1 to 100"))
    assert caught.value.subject == "job"
    assert made == ["sagemaker"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ValidationException", JobRejectedError),
        ("ResourceNotFound", JobRejectedError),
        ("ResourceInUse", JobNameInUseError),
        ("ResourceLimitExceeded", CapacityError),
    ],
)
def test_what_the_service_refuses_is_told_with_the_jobs_name(
    session: Session, stubs: dict[str, Stubber], code: str, kind: type[Exception]
) -> None:
    stubs["sagemaker"].add_client_error("create_processing_job", code, "why")

    with pytest.raises(kind, match="job") as caught:
        ProcessingJob.submit(definition(), session)

    assert type(caught.value) is kind


def test_no_job_is_created_when_a_file_cannot_be_uploaded(session: Session, tmp_path: Path) -> None:
    (tmp_path / "run.py").touch()
    (tmp_path / "link.py").symlink_to("absent.py")

    with pytest.raises(UploadError):
        ProcessingJob.submit(script(code=str(tmp_path), script_name="run.py"), session)
