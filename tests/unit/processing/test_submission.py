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
from airflow_sm_processing.processing import InstancePreference, ProcessingJob, Session
from airflow_sm_processing.processing.definition import with_image

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


SHORT = "sklearn:1.2-1"
IRELAND = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.mark.parametrize("image", [{"image_uri": SHORT}, {"image_uri": None, "image": SHORT}])
def test_an_images_short_form_is_resolved_for_the_sessions_region(
    session: Session, stubs: dict[str, Stubber], image: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    request = plan(definition(image_uri=IRELAND)).request
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, request)
    caplog.set_level("INFO", "airflow_sm_processing")

    ProcessingJob.submit(definition(**image), session)

    (line,) = [record.getMessage() for record in caplog.records if SHORT in record.getMessage()]
    assert line.startswith(f"Image {SHORT} is {IRELAND}; sklearn:1.4-2 is newer (SageMaker SDK ")


@pytest.mark.parametrize("uri", ["registry/tools:1", "tools:1", "sklearn"])
def test_an_images_uri_stays_as_it_is(
    session: Session, stubs: dict[str, Stubber], uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = plan(definition(image_uri=uri)).request
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, request)
    caplog.set_level("INFO", "airflow_sm_processing")

    ProcessingJob.submit(definition(image_uri=uri), session)

    assert not [record for record in caplog.records if record.getMessage().startswith("Image ")]


def test_the_image_parameter_takes_a_uri_too(session: Session, stubs: dict[str, Stubber]) -> None:
    request = plan(definition(image_uri="registry/tools:1")).request
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, request)

    ProcessingJob.submit(definition(image="registry/tools:1", image_uri=None), session)


def test_the_jobs_name_begins_as_the_image_was_written(session: Session, stubs: dict[str, Stubber]) -> None:
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN})

    job = ProcessingJob.submit(definition(image_uri=SHORT, job_name=None), session)

    assert job.job_name.startswith("sklearn-2")


def test_a_wrong_image_is_reported_along_with_the_rest(session: Session) -> None:
    wrong = definition(image=None, image_uri="sklearn:1.5-1", instance_count=0)
    with pytest.raises(DefinitionError) as caught:
        ProcessingJob.submit(wrong, session)
    image, count = caught.value.problems
    assert (image.parameter, image.value, count.parameter) == ("image_uri", "sklearn:1.5-1", "instance_count")
    assert image.rule.startswith("sklearn has no such version; the nearest are 1.4-2 and 1.2-1 (")


def test_an_image_of_another_framework_is_said_once(session: Session) -> None:
    with pytest.raises(DefinitionError) as caught:
        ProcessingJob.submit(definition(image="tools:1", image_uri=None), session)
    (problem,) = caught.value.problems
    assert (problem.parameter, problem.value) == ("image", "tools:1")
    assert problem.rule.startswith("there is no such framework: ")


def test_the_instance_preferences_say_which_image() -> None:
    preferred = (InstancePreference("ml.g5.xlarge"), InstancePreference("ml.p3.2xlarge"))
    several = definition(image_uri="pytorch:2.3", instance_type=None, instance_preferences=preferred)
    resolved, problems = with_image(several, lambda: "eu-west-1")
    assert resolved.image_uri == "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.3-gpu-py311"
    assert problems == ()


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
