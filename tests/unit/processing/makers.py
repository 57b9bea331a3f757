"""Valid things to start from: a test changes what it is about."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing import JobDefinition, ProcessingInput, ProcessingOutput
from airflow_sm_processing.processing.request import SubmissionPlan, default_keys, plan_submission
from airflow_sm_processing.processing.validation import check_definition

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from airflow_sm_processing.processing.request import ObjectLister

ROLE_ARN = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sklearn:1.2"
JOB_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/job"
SOURCE = "s3://raw/data"
DESTINATION = "/opt/ml/processing/input"


def definition(**changes: Any) -> JobDefinition:
    """The smallest definition that can be submitted."""
    given = {
        "role": ROLE_ARN,
        "image_uri": IMAGE,
        "instance_count": 1,
        "instance_type": "ml.m5.xlarge",
        "job_name": "job",
    }
    return JobDefinition(**(given | changes))


def script(**changes: Any) -> JobDefinition:
    """The same with a script in S3."""
    return definition(**({"code": "s3://code/run.py", "command": ["python3"]} | changes))


def an_input(**changes: Any) -> ProcessingInput:
    return ProcessingInput(**({"source": SOURCE, "destination": DESTINATION} | changes))


def an_output(**changes: Any) -> ProcessingOutput:
    return ProcessingOutput(**({"source": "/opt/ml/processing/out", "destination": "s3://results/out"} | changes))


def plan(job: JobDefinition, *, prefix: str | None = None, upload_key: str | None = None) -> SubmissionPlan:
    return plan_submission(job, role_arn=ROLE_ARN, key=default_keys("bucket", prefix), upload_key=upload_key)


def checked_plan(
    job: JobDefinition, operation: OperationModel, objects: ObjectLister | None = None, upload_key: str | None = None
) -> SubmissionPlan:
    """Return the plan of a definition that is checked; what is over the operation's bounds goes by other ways."""
    check_definition(job, operation)
    key = default_keys("bucket", None)
    return plan_submission(job, role_arn=ROLE_ARN, key=key, upload_key=upload_key, operation=operation, objects=objects)


def command_file(plan: SubmissionPlan) -> str:
    """Return the text of the script that runs the job's command, which is the only upload."""
    [upload] = plan.uploads
    with upload.local() as (folder, _):
        return (folder / "command.sh").read_text()


def response(**changes: Any) -> dict[str, Any]:
    """What DescribeProcessingJob always has."""
    return {
        "ProcessingJobName": "job",
        "ProcessingJobArn": JOB_ARN,
        "ProcessingJobStatus": "InProgress",
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": IMAGE},
        "CreationTime": datetime(2026, 1, 1, tzinfo=timezone.utc),
        **changes,
    }
