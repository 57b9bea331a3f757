"""ListProcessingJobs: every filter, every order, and live pages: a token is a place in the order, not a snapshot."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from benchmarks.fake_sagemaker.errors import validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.fake_sagemaker.jobs import Job, Jobs

DEFAULT_PAGE, LARGEST_PAGE = 10, 100

_KEYS: Mapping[str, Callable[[Job, float], Any]] = {
    "Name": lambda job, _now: job.name,
    "CreationTime": lambda job, _now: job.created,
    "Status": lambda job, now: job.change(now).status,
}
_FILTERS: Mapping[str, Callable[[Job, Any, float], bool]] = {
    "CreationTimeAfter": lambda job, moment, _now: job.created > moment,
    "CreationTimeBefore": lambda job, moment, _now: job.created < moment,
    "LastModifiedTimeAfter": lambda job, moment, now: job.change(now).at > moment,
    "LastModifiedTimeBefore": lambda job, moment, now: job.change(now).at < moment,
    "NameContains": lambda job, text, _now: text.lower() in job.name.lower(),
    "StatusEquals": lambda job, status, now: job.change(now).status == status,
}


def list_jobs(jobs: Jobs, request: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return one page."""
    size = request.get("MaxResults", DEFAULT_PAGE)
    if not 1 <= size <= LARGEST_PAGE:
        raise validation_error(f"MaxResults {size} must be between 1 and {LARGEST_PAGE}.")
    rows = _ordered(jobs, request, now)
    page: dict[str, Any] = {"ProcessingJobSummaries": [job.summary(now) for _, _, job in rows[:size]]}
    if len(rows) > size:
        page["NextToken"] = base64.urlsafe_b64encode(json.dumps(rows[size - 1][:2]).encode()).decode()
    return page


def _found(jobs: Jobs, request: Mapping[str, Any], now: float) -> Iterable[Job]:
    filters = [(_FILTERS[name], request[name]) for name in _FILTERS if name in request]
    candidates: Iterable[Job] = jobs
    if "LastModifiedTimeAfter" in request:
        candidates = jobs.modified_between(request["LastModifiedTimeAfter"], now)
    return (job for job in candidates if all(test(job, value, now) for test, value in filters))


def _ordered(jobs: Jobs, request: Mapping[str, Any], now: float) -> list[tuple[Any, int, Job]]:
    """Return key, number and job of all that come after the token's place."""
    key = _KEYS[request.get("SortBy", "CreationTime")]
    backwards = request.get("SortOrder", "Ascending") == "Descending"
    found = ((key(job, now), job.index, job) for job in _found(jobs, request, now))
    rows = sorted(found, key=lambda row: row[:2], reverse=backwards)
    if "NextToken" not in request:
        return rows
    place = tuple(json.loads(base64.urlsafe_b64decode(request["NextToken"])))
    if jobs.loses_ties and request.get("SortBy", "CreationTime") == "CreationTime":
        rows = [row for row in rows if row[0] != place[0]]
    return [row for row in rows if (row[:2] < place if backwards else row[:2] > place)]
