"""ListProcessingJobs: what changed since when, and what has which status."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.processing.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping

__all__ = ["PAGE", "Page", "is_terminal", "named_alike", "pages", "server_time"]

PAGE = 100
"""Jobs on a page: the most that MaxResults may be, says the service's model."""
_TERMINAL = frozenset(status.value for status in JobStatus if status.is_terminal)


class Page(NamedTuple):
    """One answer of ListProcessingJobs."""

    statuses: dict[str, str]
    """ProcessingJobStatus by job name."""
    is_last: bool
    answered_at: float | None
    """The service's own clock, seconds since the epoch; None if it didn't say."""


def is_terminal(status: str) -> bool:
    """Tell whether a ProcessingJobStatus is one that a job ends with."""
    return status in _TERMINAL


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
        call: Calls ListProcessingJobs.
        modified_after: Seconds since the epoch; the wire has whole seconds, so that it is rounded down.
        modified_before: The same; without it, what changes meanwhile is listed as well.
        status: The one ProcessingJobStatus to list.
        name_contains: A part that the names have, in either case; the newest of these jobs come first.
        by_name: Whether to sort by name rather than by creation. Names are unique: where a page begins after the last
            job's place in the order, it leaves out no other that was created in the same second.
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
    while True:
        answer = await call(request)
        token = answer.get("NextToken")
        statuses = {job["ProcessingJobName"]: job["ProcessingJobStatus"] for job in answer["ProcessingJobSummaries"]}
        yield Page(statuses, not token, server_time(answer))
        if not token:
            return
        request["NextToken"] = token


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
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (TypeError, ValueError):
        return None
