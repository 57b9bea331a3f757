"""Where jobs run, as far as that is known without asking AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ANY", "UNKNOWN_ACCOUNT", "UNKNOWN_REGION", "Place", "account_in", "partition_of", "place_of_jobs"]

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
        """Give the ARN of something that has a region and an account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def job_arns(self, names: str) -> tuple[str, ...]:
        """Give the ARNs of the processing jobs of a name, or of a pattern: SageMaker writes them in lower case."""
        spellings = sorted({names, names.lower()})
        return tuple(self.arn("sagemaker", f"processing-job/{name}") for name in spellings)

    def role_arns(self, role: str) -> list[str]:
        """Give the ARNs that a role's ARN or name stands for: a name doesn't say the path, such as `service-role/`."""
        if "/" in role:
            return [role]
        roles = f"arn:{self.partition}:iam::{self.account}:role"
        return [f"{roles}/{role}", f"{roles}/*/{role}"]

    def s3_arn(self, bucket: str, key: str = "") -> str:
        """Give the ARN of a bucket, or of objects in it."""
        return f"arn:{self.partition}:s3:::{bucket}" + (f"/{key}" if key else "")


def place_of_jobs(*, account: str | None, region: str | None) -> Place:
    """Give the place of jobs that are started elsewhere; what isn't known of it may be any."""
    return Place(account=account or ANY, region=region or ANY, partition=partition_of(region=region))


def account_in(role: str) -> str | None:
    """Give the account of a role's ARN, which is that of the jobs too: no role is passed to another account."""
    found = _ROLE_ARN.match(role)
    return found and found[1]


def partition_of(*, region: str | None, role: str = "", image_uri: str = "") -> str:
    """Give the partition that a region is in, or a role or an image if the region isn't known; AWS's main one else."""
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
