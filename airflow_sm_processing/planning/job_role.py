"""What the job needs while it runs: the permissions of its role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_sm_processing.planning.kms import key_statements
from airflow_sm_processing.planning.needs import locations
from airflow_sm_processing.planning.places import ANY
from airflow_sm_processing.planning.statements import Statement, beginning, listing
from airflow_sm_processing.processing.console import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.planning.needs import JobNeeds
    from airflow_sm_processing.processing.s3_uris import S3Location

__all__ = ["job_role_statements"]

_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([\w-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)")
# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createprocessingjob-perms
_NETWORK = (
    "CreateNetworkInterface",
    "CreateNetworkInterfacePermission",
    "DeleteNetworkInterface",
    "DeleteNetworkInterfacePermission",
    "DescribeDhcpOptions",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcs",
)


def job_role_statements(needs: JobNeeds) -> Iterator[Statement]:
    """Yield what SageMaker does with the job's role: read, write, pull the image, log; not what the script does."""
    yield from _data(needs)
    yield from _keys(needs)
    yield from _image(needs)
    yield from _reports(needs)
    if needs.request.get("NetworkConfig", {}).get("VpcConfig"):
        actions = tuple(f"ec2:{name}" for name in _NETWORK)
        yield Statement(sid="JoinTheVpc", actions=actions, resources=(ANY,))


def _data(needs: JobNeeds) -> Iterator[Statement]:
    for direction, place in locations(needs.request):
        if not place.bucket.strip("*"):
            continue  # `left_out` tells of it
        yield from _read(needs, place) if direction == "in" else _written(needs, place)
    for item in needs.request.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        group = item.get("FeatureStoreOutput", {}).get("FeatureGroupName")
        if group:
            resource = needs.place.arn("sagemaker", f"feature-group/{str(group).lower()}")
            yield Statement(sid="WriteRecords", actions=("sagemaker:PutRecord",), resources=(resource,))


def _read(needs: JobNeeds, place: S3Location) -> Iterator[Statement]:
    prefix = beginning(place.key)  # SageMaker reads all keys that begin so
    objects = needs.place.s3_arn(place.bucket, prefix)
    yield Statement(sid="ReadInputs", actions=("s3:GetObject",), resources=(objects,))
    yield listing(needs.place, place, "ListInputs")


def _written(needs: JobNeeds, place: S3Location) -> Iterator[Statement]:
    key = "/".join(part for part in (place.key.rstrip("/"), ANY) if part)
    objects = needs.place.s3_arn(place.bucket, key)
    actions = ("s3:AbortMultipartUpload", "s3:PutObject")
    yield Statement(sid="WriteOutputs", actions=actions, resources=(objects,))


def _keys(needs: JobNeeds) -> Iterator[Statement]:
    cluster = needs.request["ProcessingResources"]["ClusterConfig"]
    output_key = needs.request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
    place = needs.place
    yield from key_statements(place, needs.upload_kms_key, "DecryptInputs", "kms:Decrypt")
    yield from key_statements(place, output_key, "EncryptOutputs", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
    yield from key_statements(
        place,
        cluster.get("VolumeKmsKeyId"),
        "EncryptVolumes",
        "kms:CreateGrant",
        condition={"Bool": {"kms:GrantIsForAWSResource": "true"}},
    )


def _image(needs: JobNeeds) -> Iterator[Statement]:
    found = _IMAGE.match(str(needs.request["AppSpecification"].get("ImageUri")))
    account, region, name = found.groups() if found else (ANY, ANY, ANY)
    repository = f"arn:{needs.place.partition}:ecr:{region}:{account}:repository/{name}"
    actions = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    yield Statement(sid="PullTheImage", actions=actions, resources=(repository,))
    yield Statement(sid="LogInToTheRegistry", actions=("ecr:GetAuthorizationToken",), resources=(ANY,))


def _reports(needs: JobNeeds) -> Iterator[Statement]:
    group = needs.place.arn("logs", f"log-group:{LOG_GROUP}")
    actions = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
    yield Statement(sid="WriteTheLog", actions=actions, resources=(group, f"{group}:*"))
    ours = {"StringEquals": {"cloudwatch:namespace": LOG_GROUP}}
    yield Statement(
        sid="ReportUseOfTheInstances", actions=("cloudwatch:PutMetricData",), resources=(ANY,), condition=ours
    )
