"""What it takes to look at jobs that are started elsewhere: the permissions of a watcher's or sensor's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.planning.places import ANY
from airflow_sm_processing.planning.statements import Statement, beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.planning.places import Place
    from airflow_sm_processing.watcher.completions import JobFilter

__all__ = ["sensing_statements", "watching_statements"]


def watching_statements(place: Place, job_filter: JobFilter) -> Iterator[Statement]:
    """Yield what a triggerer has to call for the jobs that a watcher means; a pattern's names can't be told in IAM."""
    prefix = job_filter.job_name_prefix or ""
    jobs = place.job_arns(beginning(prefix))
    yield Statement(sid="SeeWhichJobsComplete", actions=("sagemaker:ListProcessingJobs",), resources=(ANY,))
    yield Statement(sid="ReadCompletedJobs", actions=("sagemaker:DescribeProcessingJob",), resources=jobs)
    if job_filter.tags:
        yield Statement(sid="SeeTheTagsOfCompletedJobs", actions=("sagemaker:ListTags",), resources=jobs)


def sensing_statements(place: Place, names: str, *, listed: bool, defers: bool) -> Iterator[Statement]:
    """Yield what a sensor has to call.

    Args:
        place: Where the job is.
        names: Its name, or a pattern of what it may be.
        listed: Whether the job is looked for in listings, because only its name's beginning is known.
        defers: Whether the triggerer waits, which lists rather than describe many jobs.
    """
    yield Statement(sid="ReadSoughtJobs", actions=("sagemaker:DescribeProcessingJob",), resources=place.job_arns(names))
    listing = ("sagemaker:ListProcessingJobs",)
    if listed:
        yield Statement(sid="FindSoughtJobs", actions=listing, resources=(ANY,))
    if defers:
        yield Statement(sid="SeeManyJobsAtOnce", actions=listing, resources=(ANY,), optional=True)
