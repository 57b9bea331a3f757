from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing.job import JobLookup, NewestJob, named_by_arn

FIRST = {"NameContains": "train", "SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 100}


def answer(*names: str, token: str | None = None) -> dict[str, Any]:
    page = {"ProcessingJobSummaries": [{"ProcessingJobName": name} for name in names]}
    return page if token is None else {**page, "NextToken": token}


def test_the_newest_job_of_a_prefix_is_the_first_listed_that_begins_with_it() -> None:
    search = NewestJob(JobLookup(job_name_prefix="train"))
    assert search.request == FIRST
    search.take(answer("pretrain-2", "Train-3", "train-2", "train-1", token="more"))
    assert (search.found, search.request) == ("train-2", None)


def test_it_may_be_on_a_later_page() -> None:
    search = NewestJob(JobLookup(job_name_prefix="train"))
    search.take(answer("pretrain-2", token="more"))
    assert (search.found, search.request) == (None, {**FIRST, "NextToken": "more"})
    search.take(answer("train-1"))
    assert (search.found, search.request) == ("train-1", None)


def test_there_may_be_none() -> None:
    search = NewestJob(JobLookup(job_name_prefix="train"))
    search.take(answer("pretrain-2"))
    assert (search.found, search.request) == (None, None)


def test_only_jobs_created_after_a_moment_are_listed() -> None:
    sought = JobLookup(job_name_prefix="train", created_after=1_800_000_000.0)
    after = datetime(2027, 1, 15, 8, tzinfo=timezone.utc)
    assert NewestJob(sought).request == {**FIRST, "CreationTimeAfter": after}
    assert str(sought) == "a processing job train… created after 2027-01-15T08:00:00+00:00"


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
@pytest.mark.parametrize("region_name", [None, "eu-west-1"])
def test_an_arn_tells_region_and_name(partition: str, region_name: str | None) -> None:
    arn = f"arn:{partition}:sagemaker:eu-west-1:123456789012:processing-job/job-1"
    assert named_by_arn(arn, region_name=region_name) == ("eu-west-1", "job-1")


@pytest.mark.parametrize(
    ("arn", "rule"),
    [
        ("arn:aws:sagemaker:us-east-1:123456789012:processing-job/job-1", "is in another region than"),
        ("arn:aws:sagemaker:eu-west-1:123456789012:training-job/job-1", "must be arn:"),
        ("job-1", "must be arn:"),
    ],
)
def test_an_arn_of_something_else_is_told(arn: str, rule: str) -> None:
    with pytest.raises(DefinitionError, match=f"job_arn='{arn}': {rule}"):
        named_by_arn(arn, region_name="eu-west-1")
