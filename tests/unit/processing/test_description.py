from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest

from airflow_sm_processing.processing import JobDescription, JobStatus
from airflow_sm_processing.processing.description import REQUEST_PARAMETERS

from .makers import JOB_ARN, an_input, an_output, response
from .queries import query

QUERY = dataclasses.replace(query(), input_name="b")
CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
STARTED = CREATED + timedelta(minutes=3)
ENDED = STARTED + timedelta(seconds=90.5)


def cluster(**config: Any) -> dict[str, Any]:
    return {"ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 30, **config}}}


def test_every_field_of_a_response_is_read() -> None:
    answer = response(
        **cluster(InstanceType="ml.m5.xlarge", InstanceCount=2),
        ProcessingJobStatus="Failed",
        ProcessingInputs=[an_input(input_name="a").to_boto(), QUERY.to_boto()],
        ProcessingOutputConfig={"Outputs": [an_output(output_name="c").to_boto()], "KmsKeyId": "key"},
        FailureReason="AlgorithmError",
        ExitMessage="no rows",
        ProcessingStartTime=STARTED,
        ProcessingEndTime=ENDED,
    )
    described = JobDescription.from_response(answer)

    assert described == JobDescription(
        job_name="job",
        job_arn=JOB_ARN,
        status=JobStatus.FAILED,
        inputs=(an_input(input_name="a"), QUERY),
        outputs=(an_output(output_name="c"),),
        output_kms_key="key",
        failure_reason="AlgorithmError",
        exit_message="no rows",
        created_at=CREATED,
        started_at=STARTED,
        ended_at=ENDED,
        instance_type="ml.m5.xlarge",
        instance_count=2,
        request={name: answer[name] for name in REQUEST_PARAMETERS if name in answer},
    )
    assert (described.duration_seconds, described.instance_seconds) == (90.5, 181.0)


def test_what_a_running_job_lacks_is_absent() -> None:
    answer = response()
    described = JobDescription.from_response(answer)

    assert described == JobDescription(
        job_name="job",
        job_arn=JOB_ARN,
        status=JobStatus.IN_PROGRESS,
        created_at=CREATED,
        instance_type="ml.m5.xlarge",
        request={name: answer[name] for name in ("ProcessingJobName", "AppSpecification", "ProcessingResources")},
    )
    assert (described.duration_seconds, described.instance_seconds) == (None, None)


def test_the_request_is_all_that_sagemaker_takes_but_the_tags() -> None:
    model = boto3.Session().client("sagemaker", region_name="eu-west-1").meta.service_model
    asked, told = model.operation_model("CreateProcessingJob"), model.operation_model("DescribeProcessingJob")

    assert {*asked.input_shape.members} - {"Tags"} == {*REQUEST_PARAMETERS} <= {*told.output_shape.members}


def test_the_request_of_a_job_with_preferences_lacks_what_was_selected() -> None:
    selected = {"SelectedInstanceType": "ml.c5.large", "SelectedInstanceCount": 3}
    described = JobDescription.from_response(response(**cluster(**PREFERENCES, **selected)))

    assert described.request["ProcessingResources"] == cluster(**PREFERENCES)["ProcessingResources"]


def test_a_job_that_never_started_has_no_duration() -> None:
    described = JobDescription.from_response(response(ProcessingJobStatus="Stopped", ProcessingEndTime=ENDED))

    assert (described.started_at, described.duration_seconds, described.instance_seconds) == (None, None, None)


PREFERENCES = {"InstancePreferences": [{"InstanceType": "ml.m5.large"}, {"InstanceType": "ml.c5.large"}]}


@pytest.mark.parametrize(
    ("config", "instances"),
    [
        (PREFERENCES, (None, 1)),
        (PREFERENCES | {"SelectedInstanceType": "ml.c5.large", "SelectedInstanceCount": 3}, ("ml.c5.large", 3)),
        ({"InstanceType": "ml.m5.large"}, ("ml.m5.large", 1)),
    ],
)
def test_the_selected_type_is_the_one_where_there_were_preferences(
    config: dict[str, Any], instances: tuple[str | None, int]
) -> None:
    described = JobDescription.from_response(response(**cluster(**config)))

    assert (described.instance_type, described.instance_count) == instances


def test_a_message_that_no_xcom_can_carry_is_escaped():
    texts = {"ExitMessage": "a\0b\ud800é\r\n", "FailureReason": "\udfff exit code: 3"}
    found = JobDescription.from_response({**response(), **texts})
    assert (found.exit_message, found.failure_reason) == ("a\\x00b\\ud800é\r\n", "\\udfff exit code: 3")
    assert found.exit_code == 3
