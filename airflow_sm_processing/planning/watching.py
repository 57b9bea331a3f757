"""What it takes to see which jobs complete: the permissions of a watcher's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.planning.places import ANY
from airflow_sm_processing.planning.statements import Statement, beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.planning.places import Place
    from airflow_sm_processing.watcher.completions import JobFilter

__all__ = ["watching_statements"]


def watching_statements(place: Place, job_filter: JobFilter) -> Iterator[Statement]:
    """Yield what a triggerer has to call for the jobs that a watcher means; a pattern's names can't be told in IAM."""
    prefix = job_filter.job_name_prefix or ""
    names = {beginning(name) for name in (prefix, prefix.lower())}  # SageMaker writes names in ARNs in lower case
    jobs = tuple(place.arn("sagemaker", f"processing-job/{name}") for name in sorted(names))
    yield Statement(sid="SeeWhichJobsComplete", actions=("sagemaker:ListProcessingJobs",), resources=(ANY,))
    yield Statement(sid="ReadCompletedJobs", actions=("sagemaker:DescribeProcessingJob",), resources=jobs)
    if job_filter.tags:
        yield Statement(sid="SeeTheTagsOfCompletedJobs", actions=("sagemaker:ListTags",), resources=jobs)
