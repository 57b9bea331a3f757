"""What the task itself needs: the permissions of Airflow's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.planning.kms import key_statements
from airflow_sm_processing.planning.needs import locations
from airflow_sm_processing.planning.places import ANY
from airflow_sm_processing.planning.statements import Statement, listing
from airflow_sm_processing.processing.code import CODE_INPUT_NAME
from airflow_sm_processing.processing.console import LOG_GROUP
from airflow_sm_processing.processing.s3_folders import may_name_folder
from airflow_sm_processing.processing.s3_uris import S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.planning.needs import JobNeeds

__all__ = ["caller_statements"]


def caller_statements(needs: JobNeeds) -> Iterator[Statement]:
    """Yield what a task may have to call in any of its tries; sts:GetCallerIdentity needs no permission."""
    yield from _job(needs)
    yield from _role(needs)
    yield from _files(needs)
    yield from _folders(needs)
    if needs.ways.waits:
        yield from _log(needs)
        yield from _results(needs)
        yield from _sizes(needs)


def _job(needs: JobNeeds) -> Iterator[Statement]:
    jobs = needs.place.job_arns(needs.job_name)
    actions = ["CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"]
    yield Statement(sid="RunJobs", actions=_sagemaker(*actions), resources=jobs)
    named = needs.has_own_name  # such a name doesn't say whose the job is that a retry finds: only its tags do
    tagged = named or _has_users_tags(needs)
    yield Statement(sid="TagJobs", actions=_sagemaker("AddTags"), resources=jobs, optional=not tagged)
    yield Statement(sid="TellWhoseAJobIs", actions=_sagemaker("ListTags"), resources=jobs, optional=not named)
    if named:
        yield Statement(sid="FreeAChosenName", actions=_sagemaker("DeleteProcessingJob"), resources=jobs)
    # Of jobs of earlier tries, and of many jobs' ends at once; IAM knows no narrower resource for it.
    yield Statement(sid="SeeManyJobsAtOnce", actions=_sagemaker("ListProcessingJobs"), resources=(ANY,), optional=True)


def _has_users_tags(needs: JobNeeds) -> bool:
    """Tell whether the user gives tags: without these no job is made, but without its owner's it is."""
    return any(not str(tag.get("Key")).startswith("airflow:") for tag in needs.request.get("Tags", ()))


def _sagemaker(*operations: str) -> tuple[str, ...]:
    return tuple(f"sagemaker:{operation}" for operation in operations)


def _role(needs: JobNeeds) -> Iterator[Statement]:
    if needs.role == ANY:
        return  # left out, and said so: a policy that lets any role be passed is none
    roles = tuple(needs.place.role_arns(needs.role))
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    yield Statement(sid="GiveTheJobItsRole", actions=("iam:PassRole",), resources=roles, condition=to_sagemaker)
    if "/" not in needs.role:
        yield Statement(sid="LookUpTheRoleByItsName", actions=("iam:GetRole",), resources=roles)


def _files(needs: JobNeeds) -> Iterator[Statement]:
    if not needs.bucket.strip(ANY):
        return
    place = needs.place
    bucket = place.s3_arn(needs.bucket)
    if needs.uses_bucket and needs.finds_bucket:
        yield Statement(
            sid="FindOrMakeTheDefaultBucket", actions=("s3:CreateBucket", "s3:ListBucket"), resources=(bucket,)
        )
    if needs.upload_prefix is None:
        return
    objects = place.s3_arn(needs.bucket, f"{needs.upload_prefix}/*")
    actions = ("s3:AbortMultipartUpload", "s3:PutObject")
    yield Statement(sid="UploadLocalFiles", actions=actions, resources=(objects,))
    yield from key_statements(place, needs.upload_kms_key, "EncryptLocalFiles", "kms:Decrypt", "kms:GenerateDataKey")
    if not needs.finds_bucket:
        yield Statement(
            sid="SeeWhatIsUploadedAlready",
            actions=("s3:ListBucket",),
            resources=(bucket,),
            prefixes=(f"{needs.upload_prefix}/*",),
            optional=True,
        )


def _folders(needs: JobNeeds) -> Iterator[Statement]:
    """Yield what it takes to tell an input's folder from a prefix, whose neighbours SageMaker would read along."""
    for item in needs.request.get("ProcessingInputs", ()):
        s3_input = item.get("S3Input", {})
        is_prefix = s3_input.get("S3DataType", "S3Prefix") == "S3Prefix" and not item.get("AppManaged")
        if item["InputName"] == CODE_INPUT_NAME or not is_prefix or not may_name_folder(s3_input.get("S3Uri")):
            continue
        data = S3Location.parse(s3_input["S3Uri"])
        is_uploaded = needs.upload_prefix is not None and data.key.startswith(f"{needs.upload_prefix}/")
        if data.bucket.strip(ANY) and not is_uploaded:
            yield listing(needs.place, data, "TellFoldersFromPrefixes", optional=True)


def _results(needs: JobNeeds) -> Iterator[Statement]:
    config = needs.request.get("ProcessingOutputConfig", {})
    uris = {item["OutputName"]: item.get("S3Output", {}).get("S3Uri") for item in config.get("Outputs", ())}
    for name in needs.reads:
        place = S3Location.parse(str(uris.get(name) or ANY))
        if place.bucket.strip(ANY):
            objects = needs.place.s3_arn(place.bucket, "/".join(part for part in (place.key.rstrip("/"), ANY) if part))
            yield Statement(sid="ReadResults", actions=("s3:GetObject",), resources=(objects,))
            yield from key_statements(needs.place, config.get("KmsKeyId"), "DecryptResults", "kms:Decrypt")


def _log(needs: JobNeeds) -> Iterator[Statement]:
    group = needs.place.arn("logs", f"log-group:{LOG_GROUP}")
    yield Statement(sid="FindTheJobsLogs", actions=("logs:DescribeLogStreams",), resources=(f"{group}:*",))
    streams = f"{group}:log-stream:{needs.job_name}/*"
    yield Statement(sid="ReadTheJobsLogs", actions=("logs:GetLogEvents",), resources=(streams,))
    if needs.ways.defers and needs.ways.follows_log:
        yield Statement(sid="FollowManyLogsAtOnce", actions=("logs:FilterLogEvents",), resources=(f"{group}:*",))


def _sizes(needs: JobNeeds) -> Iterator[Statement]:
    """Yield what it takes to tell how much the job read and wrote."""
    for _, data in locations(needs.request):
        if data.bucket.strip(ANY):
            yield listing(needs.place, data, "MeasureData", optional=True)
