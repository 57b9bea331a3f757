"""What is there already under the names of a task instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.ownership.names import job_name, number_of
from airflow_sm_processing.ownership.owner import described_owner, try_of

if TYPE_CHECKING:
    from airflow_sm_processing.ownership.account import Account
    from airflow_sm_processing.ownership.standing import Claimant, Standing
    from airflow_sm_processing.processing.description import JobDescription

__all__ = ["Found", "find", "newest"]


class Found(NamedTuple):
    """A job that bears a name of ours."""

    description: JobDescription
    standing: Standing
    owner: str | None
    """In words, as its tags say; None if they say nothing."""
    try_number: int | None
    """Of the try that made it; None if its tags don't tell."""


def find(account: Account, name: str, claimant: Claimant) -> Found | None:
    """Give the job of that name, and whose it is; None if there is none."""
    description = account.description(name)
    if description is None:
        return None
    tags = account.tags(description.job_arn)
    standing = claimant.standing(
        name,
        tags=tags,
        created_at=description.created_at,
        own_name=number_of(name, claimant.owner.digest) is not None,
    )
    return Found(description, standing, described_owner(tags or {}), try_of(tags or {}))


def newest(account: Account, stem: str, digest: str) -> int | None:
    """Give the highest number that a job of the owner with that digest has; None if there is none.

    For an Airflow that keeps no intents. Where jobs may not be listed, those of the stem are asked for one by one.
    """
    names = account.names_with(f"-{digest}-")
    if names is not None:
        return max((number for name in names if (number := number_of(name, digest)) is not None), default=None)
    number = 0
    while account.description(job_name(stem, number + 1)) is not None:
        number += 1
    return number or None
