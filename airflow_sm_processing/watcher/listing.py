"""ListProcessingJobs: what changed since when, and what has which status."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.processing.answers import new_token
from airflow_sm_processing.processing.aws_errors import answer_read
from airflow_sm_processing.processing.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping

__all__ = ["PAGE", "Page", "checked_page", "is_terminal", "named_alike", "pages", "server_time", "status_of"]

PAGE = 100
"""Jobs on a page: the most that MaxResults may be, says the service's model."""
_STATUS = re.compile("[A-Za-z]{1,64}")  # one of `JobStatus`, or of a later version of the service
_TERMINAL = frozenset(status.value for status in JobStatus if status.is_terminal)


class Page(NamedTuple):
    """One answer of ListProcessingJobs."""

    statuses: dict[str, str]
    """ProcessingJobStatus by job name."""
    is_last: bool
    answered_at: float | None
    """The service's own clock, seconds since the epoch; None if it didn't say."""
    unreadable: tuple[str, ...] = ()
    """Jobs on the page whose status isn't one."""


def is_terminal(status: str) -> bool:
    """Tell whether a ProcessingJobStatus is one that a job ends with."""
    return status in _TERMINAL


def status_of(job_name: str, answer: Mapping[str, Any]) -> str:
    """Return the status in an answer of DescribeProcessingJob; to be called within `answer_read`.

    Raises:
        ValueError: It has none, or is about another job.
    """
    named, status = answer.get("ProcessingJobName"), answer.get("ProcessingJobStatus")
    if not isinstance(named, str) or named.lower() != job_name.lower():
        raise ValueError("it has no ProcessingJobName, or another job's")
    if not _is_status(status):
        raise ValueError("it has no ProcessingJobStatus, or none that is a word")
    return str(status)


def checked_page(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer of ListProcessingJobs that has jobs, whatever is said of each; within `answer_read`.

    Raises:
        ValueError: It has none.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("ProcessingJobSummaries"), list):
        raise ValueError("it has no list of ProcessingJobSummaries")  # noqa: TRY004  # read like the other faults
    if not isinstance(answer.get("NextToken"), (str, type(None))):
        raise ValueError("its NextToken is no text")  # noqa: TRY004  # the same
    return answer


def _is_status(value: object) -> bool:
    return isinstance(value, str) and _STATUS.fullmatch(value) is not None


def _read_page(answer: Mapping[str, Any], *, is_last: bool) -> Page:
    statuses: dict[str, str] = {}
    unreadable = []
    for job in answer["ProcessingJobSummaries"]:
        name = job.get("ProcessingJobName") if isinstance(job, dict) else None
        if not isinstance(name, str):
            continue  # whose ever it is: the job's own look will find it
        if _is_status(job.get("ProcessingJobStatus")):
            statuses[name] = job["ProcessingJobStatus"]
        else:
            unreadable.append(name)
    return Page(statuses, is_last, server_time(answer), tuple(unreadable))


async def pages(
    call: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
    *,
    modified_after: float | None = None,
    modified_before: float | None = None,
    status: str | None = None,
    name_contains: str | None = None,
    by_name: bool = False,
) -> AsyncIterator[Page]:
    """Yield the pages of a listing.

    Args:
        call: Calls ListProcessingJobs, and returns a `checked_page`.
        modified_after: Seconds since the epoch; the wire has whole seconds, so that it is rounded down.
        modified_before: The same; without it, what changes meanwhile is listed as well.
        status: The one ProcessingJobStatus to list.
        name_contains: A part that the names have, in either case; the newest of these jobs come first.
        by_name: Whether to sort by name rather than by creation. Names are unique: where a page begins after the last
            job's place in the order, it leaves out no other that was created in the same second.

    Raises:
        MalformedResponseError: A page's token leads back to a page that was read.
    """
    request: dict[str, Any] = {"MaxResults": PAGE}
    if modified_after is not None:
        request["LastModifiedTimeAfter"] = datetime.fromtimestamp(modified_after, timezone.utc)
    if modified_before is not None:
        request["LastModifiedTimeBefore"] = datetime.fromtimestamp(modified_before, timezone.utc)
    if status is not None:
        request["StatusEquals"] = status
    if by_name:
        request["SortBy"] = "Name"
    if name_contains is not None:
        request |= {"NameContains": name_contains, "SortBy": "CreationTime", "SortOrder": "Descending"}
    seen: set[str] = set()
    while True:
        answer = await call(request)
        token = answer.get("NextToken")
        yield _read_page(answer, is_last=not token)
        if not token:
            return
        with answer_read("ListProcessingJobs", "the account's jobs"):
            request["NextToken"] = new_token(token, seen)


def named_alike(job_names: Collection[str], *, most: int) -> Iterator[tuple[str, set[str]]]:
    """Yield the names in groups of at most `most`, each with what its names begin with."""
    if not job_names:
        return
    prefix = _common_prefix(min(job_names), max(job_names))
    if len(job_names) <= most:
        yield prefix, set(job_names)
        return
    for _, group in groupby(sorted(job_names), key=lambda name: name[: len(prefix) + 1]):
        yield from named_alike(set(group), most=most)


def _common_prefix(first: str, last: str) -> str:
    for position, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:position]
    return min(first, last, key=len)


def server_time(answer: Mapping[str, Any]) -> float | None:
    """Give the time at which an answer was made, by the service's clock: ours may be wrong by minutes."""
    try:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        return parsedate_to_datetime(date).timestamp() if date else None
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None
