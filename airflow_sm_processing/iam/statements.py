"""Statements of IAM policies, and the resources that they name: jobs, S3 prefixes and KMS keys."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_sm_processing.processing.s3_uris import S3Location


__all__ = [
    "ANY",
    "UNKNOWN_ACCOUNT",
    "UNKNOWN_REGION",
    "Place",
    "Statement",
    "account_in",
    "beginning",
    "grouped",
    "key_statements",
    "listing",
    "partition_of",
    "place_of_jobs",
    "policy_document",
]


ANY = "*"
"""Stands in a policy for what isn't known when it is written."""
UNKNOWN_ACCOUNT, UNKNOWN_REGION = "<account>", "<region>"
"""Stand in a plan for what only AWS, or the worker's configuration, knows."""
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
        """The default bucket where the user chose none."""
        return f"sagemaker-{self.region}-{self.account}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something that has a region and an account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def job_arns(self, names: str) -> tuple[str, ...]:
        """Return the ARNs of the processing jobs of a name, or of a pattern: SageMaker writes them in lower case."""
        spellings = sorted({names, names.lower()})
        return tuple(self.arn("sagemaker", f"processing-job/{name}") for name in spellings)

    def role_arns(self, role: str) -> list[str]:
        """Return the ARNs that a role's ARN or name stands for: a name lacks the path, such as `service-role/`."""
        if "/" in role:
            return [role]
        roles = f"arn:{self.partition}:iam::{self.account}:role"
        return [f"{roles}/{role}", f"{roles}/*/{role}"]

    def s3_arn(self, bucket: str, key: str = "") -> str:
        """Return the ARN of a bucket, or of objects in it."""
        return f"arn:{self.partition}:s3:::{bucket}" + (f"/{key}" if key else "")


def place_of_jobs(*, account: str | None, region: str | None) -> Place:
    """Return the place of jobs that are started elsewhere; what isn't known of it may be any."""
    return Place(account=account or ANY, region=region or ANY, partition=partition_of(region=region))


def account_in(role: str) -> str | None:
    """Return the account of a role's ARN, which is that of the jobs too: no role is passed to another account."""
    found = _ROLE_ARN.match(role)
    return found and found[1]


def partition_of(*, region: str | None, role: str = "", image_uri: str = "") -> str:
    """Return the partition of a region, or of a role or an image if the region isn't known; AWS's main one else."""
    if region is not None:
        import botocore.session
        from botocore.exceptions import UnknownRegionError

        try:
            name: str = botocore.session.Session().get_partition_for_region(region)
        except UnknownRegionError:
            pass  # a new one, of the partition that the rest tells
        else:
            return name
    found = _PARTITION.match(role)
    if found:
        return found[1]
    return "aws-cn" if ".amazonaws.com.cn" in image_uri else "aws"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is allowed, on what, and for what."""

    sid: str
    """Tells what for, in letters and digits."""
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]] | None = None
    prefixes: tuple[str, ...] = ()
    """Of the keys that may be listed in the bucket that is the resource; all if none is given."""
    optional: bool = False
    """Whether a task works without it, by more calls, by guessing whose a job is, or by telling people less."""

    def to_plain(self) -> dict[str, Any]:
        """Return the statement as a policy has it."""
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
    """Return what it takes to list the keys that begin as a place in S3."""
    prefix = beginning(data.key)
    return Statement(
        sid=sid,
        actions=("s3:ListBucket",),
        resources=(place.s3_arn(data.bucket),),
        prefixes=() if prefix == "*" else (prefix,),
        optional=optional,
    )


def beginning(key: str) -> str:
    """Return the pattern of all that begins with a key, which may be a pattern itself."""
    return f"{key.rstrip('*')}*"


def grouped(statements: Iterable[Statement]) -> list[Statement]:
    """Put together what differs in its resources or prefixes alone; what stays apart of one purpose gets numbers."""
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
    """Leave out what a shorter resource that ends with a star allows already."""
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
    """Yield what allows actions on a key, which the user has given as its id, its ARN, or an alias of it."""
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
