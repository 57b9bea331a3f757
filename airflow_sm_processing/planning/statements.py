"""Statements of IAM policies."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_sm_processing.planning.places import Place
    from airflow_sm_processing.processing.s3_uris import S3Location

__all__ = ["Statement", "beginning", "grouped", "listing", "policy_document"]


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
        """Give the statement as a policy has it."""
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
    """Give what it takes to list the keys that begin as a place in S3."""
    prefix = beginning(data.key)
    return Statement(
        sid=sid,
        actions=("s3:ListBucket",),
        resources=(place.s3_arn(data.bucket),),
        prefixes=() if prefix == "*" else (prefix,),
        optional=optional,
    )


def beginning(key: str) -> str:
    """Give the pattern of all that begins with a key, which may be a pattern itself."""
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
    """Give a policy of the statements; `minimal` leaves out the optional ones."""
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
