"""The IAM policy statements that jobs need: actions on jobs, S3 prefixes, KMS keys and other resources."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.processing.definition import CODE_INPUT_NAME, submitted_uris
from airflow_sm_processing.processing.models import LOG_GROUP, S3Location, is_s3_uri
from airflow_sm_processing.processing.s3 import may_name_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_sm_processing.watcher.completions import JobFilter

__all__ = [
    "ANY",
    "UNKNOWN_ACCOUNT",
    "UNKNOWN_REGION",
    "JobNeeds",
    "Place",
    "Statement",
    "Ways",
    "account_in",
    "beginning",
    "caller_statements",
    "grouped",
    "job_role_statements",
    "key_statements",
    "listing",
    "locations",
    "partition_of",
    "place_of_jobs",
    "policy_document",
    "sensing_statements",
    "watching_statements",
]


ANY = "*"
"""Used in a policy for what isn't known when the policy is written."""
UNKNOWN_ACCOUNT, UNKNOWN_REGION = "<account>", "<region>"
"""Used in a plan for what only AWS, or the worker's configuration, knows."""
_ROLE_ARN = re.compile(r"arn:[\w-]+:iam::(\d{12}):role/")
_PARTITION = re.compile(r"arn:([\w-]+):")


@dataclass(frozen=True, kw_only=True)
class Place:
    """An account and region; each may be a placeholder or `ANY`."""

    account: str
    region: str
    partition: str = "aws"

    @property
    def bucket(self) -> str:
        """The name of the account's default bucket, used if the user chose none."""
        return f"sagemaker-{self.region}-{self.account}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def job_arns(self, names: str) -> tuple[str, ...]:
        """Return the ARNs of the jobs with this name or pattern; SageMaker writes names in ARNs in lower case."""
        spellings = sorted({names, names.lower()})
        return tuple(self.arn("sagemaker", f"processing-job/{name}") for name in spellings)

    def role_arns(self, role: str) -> list[str]:
        """Return the ARNs that a role's ARN or name may mean: a name lacks the path, such as `service-role/`."""
        if "/" in role:
            return [role]
        roles = f"arn:{self.partition}:iam::{self.account}:role"
        return [f"{roles}/{role}", f"{roles}/*/{role}"]

    def s3_arn(self, bucket: str, key: str = "") -> str:
        """Return the ARN of a bucket, or of objects in it."""
        return f"arn:{self.partition}:s3:::{bucket}" + (f"/{key}" if key else "")


def place_of_jobs(*, account: str | None, region: str | None) -> Place:
    """Return the place of jobs that are started elsewhere, with `ANY` for what isn't known."""
    return Place(account=account or ANY, region=region or ANY, partition=partition_of(region=region))


def account_in(role: str) -> str | None:
    """Return the account in a role's ARN; it is the jobs' account too, as a role can't be passed to another account."""
    found = _ROLE_ARN.match(role)
    return found and found[1]


def partition_of(*, region: str | None, role: str = "", image_uri: str = "") -> str:
    """Return the partition of a region, else of a role or an image, else AWS's main partition."""
    if region is not None:
        import botocore.session
        from botocore.exceptions import UnknownRegionError

        try:
            name: str = botocore.session.Session().get_partition_for_region(region)
        except UnknownRegionError:
            pass  # a new region: use the role's or the image's partition
        else:
            return name
    found = _PARTITION.match(role)
    if found:
        return found[1]
    return "aws-cn" if ".amazonaws.com.cn" in image_uri else "aws"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A policy statement: actions, resources and its purpose."""

    sid: str
    """The purpose, in letters and digits."""
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]] | None = None
    prefixes: tuple[str, ...] = ()
    """The prefixes of the keys that may be listed in the resource's bucket; all keys if empty."""
    optional: bool = False
    """Whether a task works without it, with more calls, by guessing which task owns a job, or by showing less."""

    def to_plain(self) -> dict[str, Any]:
        """Return the statement as a dict for a policy."""
        plain: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": sorted(self.actions),
            "Resource": sorted(self.resources),
        }
        below = {"StringLike": {"s3:prefix": sorted(self.prefixes)}} if self.prefixes else {}
        condition = {**(self.condition or {}), **below}
        return {**plain, "Condition": condition} if condition else plain


def listing(place: Place, data: S3Location, sid: str, *, optional: bool = False) -> Statement:
    """Return the statement that allows listing the keys with an S3 location's prefix."""
    prefix = beginning(data.key)
    return Statement(
        sid=sid,
        actions=("s3:ListBucket",),
        resources=(place.s3_arn(data.bucket),),
        prefixes=() if prefix == "*" else (prefix,),
        optional=optional,
    )


def beginning(key: str) -> str:
    """Return the pattern for everything that begins with a key; the key may be a pattern itself."""
    return f"{key.rstrip('*')}*"


def grouped(statements: Iterable[Statement]) -> list[Statement]:
    """Merge statements that differ only in resources or prefixes; number those that remain with the same purpose."""
    by_rule: dict[str, Statement] = {}
    for item in statements:
        bucket = item.resources if item.prefixes else ()
        rule = json.dumps([item.sid, sorted(item.actions), item.condition, item.optional, bucket], sort_keys=True)
        other = by_rule.get(rule, item)
        by_rule[rule] = dataclasses.replace(
            item,
            resources=_without_covered((*other.resources, *item.resources)),
            prefixes=_without_covered((*other.prefixes, *item.prefixes)),
        )
    return _numbered([item for item in by_rule.values() if item.resources])


def policy_document(statements: Iterable[Statement], *, minimal: bool = False) -> dict[str, Any]:
    """Return a policy of the statements; `minimal` leaves out the optional ones."""
    chosen = grouped(item for item in statements if not (minimal and item.optional))
    return {"Version": "2012-10-17", "Statement": [item.to_plain() for item in chosen]}


def _without_covered(resources: Iterable[str]) -> tuple[str, ...]:
    """Return the resources without those that a shorter one ending with a star already covers."""
    kept: list[str] = []
    for resource in sorted(set(resources)):
        if not any(other.endswith("*") and resource.startswith(other[:-1]) for other in kept):
            kept.append(resource)
    return tuple(kept)


def _numbered(statements: list[Statement]) -> list[Statement]:
    counts: dict[str, int] = {}
    for item in statements:
        counts[item.sid] = counts.get(item.sid, 0) + 1
    seen: dict[str, int] = {}
    numbered = []
    for item in statements:
        seen[item.sid] = seen.get(item.sid, 0) + 1
        sid = f"{item.sid}{seen[item.sid]}" if counts[item.sid] > 1 else item.sid
        numbered.append(dataclasses.replace(item, sid=sid))
    return numbered


def key_statements(
    place: Place, key: object, sid: str, *actions: str, condition: dict[str, Any] | None = None
) -> Iterator[Statement]:
    """Yield the statements that allow actions on a KMS key, given by its id, its ARN or an alias."""
    if not isinstance(key, str) or not key.strip(ANY):
        return
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
        resource, conditions = place.arn("kms", "key/*"), {**(condition or {}), **by_alias}
    else:
        resource = key if key.startswith("arn:") else place.arn("kms", f"key/{key}")
        conditions = condition or {}
    yield Statement(sid=sid, actions=actions, resources=(resource,), condition=conditions or None)


class Ways(NamedTuple):
    """How a task waits for its job."""

    waits: bool
    defers: bool
    follows_log: bool
    """Whether the job's log lines are shown as they arrive."""


@dataclass(frozen=True, kw_only=True)
class JobNeeds:
    """What one job needs, or all jobs of a task, with `*` for what only a run knows."""

    place: Place
    request: Mapping[str, Any]
    """CreateProcessingJob's parameters, with all inputs, also those that manifests stand in for."""
    role: str
    """The name or ARN that the user gave."""
    has_own_name: bool
    """Whether the user chose the job's name, so that a retry has to free it."""
    bucket: str
    """The bucket for uploads and for outputs without a destination."""
    finds_bucket: bool
    """Whether `bucket` is the account's default bucket, which is looked up and created if missing."""
    upload_prefix: str | None
    """The key prefix for local files; None if there are none."""
    upload_kms_key: str | None
    ways: Ways
    reads: tuple[str, ...] = ()
    """The names of outputs that the task itself reads when the job has ended."""
    codeartifact_repo_arn: str | None = None
    """The CodeArtifact repository that the job's pip installs from."""
    command: tuple[str, ...] = ()
    """The command of the job's container, if the user sets it."""
    listed: tuple[str, ...] = ()
    """The S3 URIs of inputs whose objects go by manifests."""

    @property
    def job_name(self) -> str:
        """The job's name, or a pattern of it."""
        return str(self.request["ProcessingJobName"])

    @property
    def uses_bucket(self) -> bool:
        """Whether anything goes to `bucket`."""
        return any(place.bucket == self.bucket for _, place in locations(self.request)) or bool(self.upload_prefix)


def locations(request: Mapping[str, Any]) -> Iterator[tuple[str, S3Location]]:
    """Yield the S3 locations that the job itself reads (`in`) and writes (`out`)."""
    for item in request.get("ProcessingInputs", ()):
        uri = item.get("S3Input", {}).get("S3Uri")
        if isinstance(uri, str) and is_s3_uri(uri):
            yield "in", S3Location.parse(uri)
        for query in ("AthenaDatasetDefinition", "RedshiftDatasetDefinition"):
            uri = item.get("DatasetDefinition", {}).get(query, {}).get("OutputS3Uri")
            if isinstance(uri, str) and is_s3_uri(uri):
                yield from (("in", S3Location.parse(uri)), ("out", S3Location.parse(uri)))
    for item in request.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        uri = item.get("S3Output", {}).get("S3Uri")
        if isinstance(uri, str) and is_s3_uri(uri):
            yield "out", S3Location.parse(uri)


def caller_statements(needs: JobNeeds) -> Iterator[Statement]:
    """Yield the permissions for what any try of a task may call; sts:GetCallerIdentity needs none."""
    yield from _job(needs)
    yield from _role(needs)
    yield from _files(needs)
    yield from _folders(needs)
    for data in map(S3Location.parse, needs.listed):
        if data.bucket.strip(ANY):
            yield listing(needs.place, data, "ListInputsForManifests")
    if needs.ways.waits:
        yield from _log(needs)
        yield from _results(needs)
        yield from _sizes(needs)


def _job(needs: JobNeeds) -> Iterator[Statement]:
    jobs = needs.place.job_arns(needs.job_name)
    actions = ["CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"]
    yield Statement(sid="RunJobs", actions=_sagemaker(*actions), resources=jobs)
    named = needs.has_own_name  # from such a name a retry can't see which task owns the job: only its tags say
    tagged = named or _has_users_tags(needs)
    yield Statement(sid="TagJobs", actions=_sagemaker("AddTags"), resources=jobs, optional=not tagged)
    yield Statement(sid="TellWhoseAJobIs", actions=_sagemaker("ListTags"), resources=jobs, optional=not named)
    if named:
        yield Statement(sid="FreeAChosenName", actions=_sagemaker("DeleteProcessingJob"), resources=jobs)
    # Finds jobs of earlier tries, and sees many jobs end with one call; IAM has no narrower resource for it.
    yield Statement(sid="SeeManyJobsAtOnce", actions=_sagemaker("ListProcessingJobs"), resources=(ANY,), optional=True)


def _has_users_tags(needs: JobNeeds) -> bool:
    """Return whether the user sets tags: no job is created without these, but one is without the owner's tags."""
    return any(not str(tag.get("Key")).startswith("airflow:") for tag in needs.request.get("Tags", ()))


def _sagemaker(*operations: str) -> tuple[str, ...]:
    return tuple(f"sagemaker:{operation}" for operation in operations)


def _role(needs: JobNeeds) -> Iterator[Statement]:
    if needs.role == ANY:
        return  # left out, and reported: a policy must not allow passing any role
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
    """Yield the permissions to check whether an input is a folder: for a prefix, SageMaker reads its neighbours too."""
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
    """Yield the permissions to measure how much the job read and wrote."""
    for _, data in locations(needs.request):
        if data.bucket.strip(ANY):
            yield listing(needs.place, data, "MeasureData", optional=True)


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
    """Yield the permissions that SageMaker needs in the job's role: read, write, pull the image, log.

    They don't include what the script itself calls.
    """
    yield from _data(needs)
    yield from _keys(needs)
    yield from _image(needs)
    yield from _packages(needs)
    yield from _reports(needs)
    if needs.request.get("NetworkConfig", {}).get("VpcConfig"):
        actions = tuple(f"ec2:{name}" for name in _NETWORK)
        yield Statement(sid="JoinTheVpc", actions=actions, resources=(ANY,))


def _data(needs: JobNeeds) -> Iterator[Statement]:
    for direction, place in locations(needs.request):
        if not place.bucket.strip("*"):
            continue  # `left_out` reports it
        yield from _read(needs, place) if direction == "in" else _written(needs, place)
    for place in map(S3Location.parse, submitted_uris(needs.command)):
        yield from _read(needs, place)
    for item in needs.request.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        group = item.get("FeatureStoreOutput", {}).get("FeatureGroupName")
        if group:
            resource = needs.place.arn("sagemaker", f"feature-group/{str(group).lower()}")
            yield Statement(sid="WriteRecords", actions=("sagemaker:PutRecord",), resources=(resource,))


def _read(needs: JobNeeds, place: S3Location) -> Iterator[Statement]:
    prefix = beginning(place.key)  # SageMaker reads all keys with this prefix
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


def _packages(needs: JobNeeds) -> Iterator[Statement]:
    """Yield the permissions for `aws codeartifact login`, and for pip after it."""
    arn = needs.codeartifact_repo_arn
    if not arn or not arn.strip(ANY):
        return
    actions = ("codeartifact:GetRepositoryEndpoint", "codeartifact:ReadFromRepository")
    yield Statement(sid="InstallPackages", actions=actions, resources=(arn,))
    place, _, names = arn.partition(":repository/")
    domain = f"{place}:domain/{names.partition('/')[0]}" if names else arn
    token = ("codeartifact:GetAuthorizationToken",)
    yield Statement(sid="LogInToCodeArtifact", actions=token, resources=(domain,))
    for_it = {"StringEquals": {"sts:AWSServiceName": "codeartifact.amazonaws.com"}}
    bearer = ("sts:GetServiceBearerToken",)
    yield Statement(sid="CarryItsToken", actions=bearer, resources=(ANY,), condition=for_it)


def _reports(needs: JobNeeds) -> Iterator[Statement]:
    group = needs.place.arn("logs", f"log-group:{LOG_GROUP}")
    actions = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
    yield Statement(sid="WriteTheLog", actions=actions, resources=(group, f"{group}:*"))
    ours = {"StringEquals": {"cloudwatch:namespace": LOG_GROUP}}
    yield Statement(
        sid="ReportUseOfTheInstances", actions=("cloudwatch:PutMetricData",), resources=(ANY,), condition=ours
    )


def watching_statements(place: Place, job_filter: JobFilter) -> Iterator[Statement]:
    """Yield the permissions of a triggerer for the jobs that match a filter; IAM can't restrict them to a pattern."""
    prefix = job_filter.job_name_prefix or ""
    jobs = place.job_arns(beginning(prefix))
    yield Statement(sid="SeeWhichJobsComplete", actions=("sagemaker:ListProcessingJobs",), resources=(ANY,))
    yield Statement(sid="ReadCompletedJobs", actions=("sagemaker:DescribeProcessingJob",), resources=jobs)
    if job_filter.tags:
        yield Statement(sid="SeeTheTagsOfCompletedJobs", actions=("sagemaker:ListTags",), resources=jobs)


def sensing_statements(place: Place, names: str, *, listed: bool, defers: bool) -> Iterator[Statement]:
    """Yield the permissions that a sensor needs.

    Args:
        place: Where the job is.
        names: Its name, or a pattern that the name matches.
        listed: Whether the job is looked for in listings, because only its name's beginning is known.
        defers: Whether the triggerer waits; it lists jobs rather than describing many.
    """
    yield Statement(sid="ReadSoughtJobs", actions=("sagemaker:DescribeProcessingJob",), resources=place.job_arns(names))
    listing = ("sagemaker:ListProcessingJobs",)
    if listed:
        yield Statement(sid="FindSoughtJobs", actions=listing, resources=(ANY,))
    if defers:
        yield Statement(sid="SeeManyJobsAtOnce", actions=listing, resources=(ANY,), optional=True)
