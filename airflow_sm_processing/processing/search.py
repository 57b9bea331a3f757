"""Find a job that something else starts, by its name or prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, JobNotFoundError, Problem
from airflow_sm_processing.processing.aws_calls import answer_read, aws_call, new_token, summaries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.session import Session


__all__ = ["JobLookup", "NewestJob", "find_job", "named_by_arn"]


_ARN = re.compile(r"arn:[^:]+:sagemaker:([^:]+):\d{12}:processing-job/([a-zA-Z0-9-]+)")
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class JobLookup:
    """A job by its name, or the newest of those whose names begin alike."""

    job_name: str | None = None
    name_is_exact: bool = True
    """Whether listings show the job under just this name; an ARN has it in lower case."""
    job_name_prefix: str | None = None
    created_after: float | None = None
    """Of a prefix, in seconds since the epoch."""

    def __str__(self) -> str:
        if self.job_name is not None:
            return f"processing job {self.job_name}"
        if self.created_after is None:
            return f"a processing job {self.job_name_prefix}…"
        since = datetime.fromtimestamp(self.created_after, timezone.utc).isoformat(timespec="seconds")
        return f"a processing job {self.job_name_prefix}… created after {since}"


class NewestJob:
    """Looks through ListProcessingJobs for the newest job of a prefix; whoever calls sends `request` until it is None.

    The service finds names that contain the prefix, in either case, so that it may take more than one page.
    """

    def __init__(self, lookup: JobLookup) -> None:
        self._prefix = lookup.job_name_prefix or ""
        self._tokens: set[str] = set()
        self.found: str | None = None
        """The job's name, when there is no further request."""
        self.request: dict[str, Any] | None = {
            "NameContains": self._prefix,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": _PAGE,
        }
        if lookup.created_after is not None:
            self.request["CreationTimeAfter"] = datetime.fromtimestamp(lookup.created_after, timezone.utc)

    def take(self, answer: Mapping[str, Any]) -> None:
        """Read the answer to the request, and make the next one.

        Raises:
            ValueError: The listing leads back to a page that was read.
        """
        names = (job["ProcessingJobName"] for job in answer["ProcessingJobSummaries"])
        self.found = next((name for name in names if name.startswith(self._prefix)), None)
        token = new_token(answer.get("NextToken"), self._tokens)
        if self.found is not None or not token:
            self.request = None
        elif self.request is not None:
            self.request["NextToken"] = token


def find_job(session: Session, lookup: JobLookup) -> JobDescription | None:
    """Describe the job; return None while there is none.

    Raises:
        ServiceError: AWS refused or couldn't be reached.
    """
    from airflow_sm_processing.processing.job import ProcessingJob  # a triggerer looks by itself, and needs none of it

    name = lookup.job_name or _newest(session, lookup)
    try:
        return None if name is None else ProcessingJob(session, name, None, None).description()
    except JobNotFoundError:
        return None


def _newest(session: Session, lookup: JobLookup) -> str | None:
    search = NewestJob(lookup)
    while search.request is not None:
        client = session.sagemaker_client
        with aws_call("ListProcessingJobs", str(lookup)):
            answer = client.list_processing_jobs(**search.request)
        with answer_read("ListProcessingJobs", str(lookup)):
            summaries(client, answer)
            search.take(answer)
    return search.found


def named_by_arn(job_arn: str, *, region_name: str | None) -> tuple[str, str]:
    """Return the region and the name, in lower case, of a job's ARN.

    Raises:
        DefinitionError: It is no processing job's, or one in another region than `region_name`.
    """
    match = _ARN.fullmatch(job_arn)
    if match is None:
        raise DefinitionError(
            [Problem("job_arn", job_arn, "must be arn:<partition>:sagemaker:<region>:<account>:processing-job/<name>")]
        )
    if region_name and region_name != match[1]:
        raise DefinitionError([Problem("job_arn", job_arn, f"is in another region than region_name={region_name!r}")])
    return match[1], match[2]
