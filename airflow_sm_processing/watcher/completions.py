"""Find the jobs that have completed since the last poll, each once."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.aws_calls import answer_read, new_token
from airflow_sm_processing.processing.description import JobDescription, JobStatus
from airflow_sm_processing.watcher.queries import PAGE, checked_page, server_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from airflow_sm_processing.watcher.client import AwsCalls

__all__ = ["OVERLAP", "Completion", "CompletionHistory", "JobFilter", "Look", "beginning", "look_for_completions"]

log = logging.getLogger(__name__)

OVERLAP = 300.0
"""How far each poll goes back beyond the last one, in seconds, because listings may show a job late."""


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Selects jobs by their names, their tags, or both."""

    job_name_prefix: str | None = None
    job_name_pattern: str | None = None
    """A regular expression that matches the whole name."""
    tags: Mapping[str, str | None] = field(default_factory=dict)
    """The tags that a job must have, all of them; None means any value."""

    def fits_name(self, job_name: str) -> bool:
        """Return whether a job's name matches."""
        if self.job_name_prefix is not None and not job_name.startswith(self.job_name_prefix):
            return False
        return self.job_name_pattern is None or re.fullmatch(self.job_name_pattern, job_name) is not None

    def fits_tags(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job's tags match."""
        return all(key in tags and value in {None, tags[key]} for key, value in self.tags.items())


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A job that has completed."""

    job_name: str
    job_arn: str
    created_at: float
    ended_at: float
    """The time of the end; like `created_at`, in seconds since the epoch, by the service's clock."""

    @property
    def id(self) -> str:
        """The completion's identity; the name isn't enough, as it can be used again after a job's record is deleted."""
        return f"{self.job_name}@{self.created_at:.3f}"

    def to_description(self) -> JobDescription:
        """Return the job's description from the listing alone."""
        return JobDescription(
            job_name=self.job_name,
            job_arn=self.job_arn,
            status=JobStatus.COMPLETED,
            created_at=datetime.fromtimestamp(self.created_at, timezone.utc),
            ended_at=datetime.fromtimestamp(self.ended_at, timezone.utc),
        )

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> Completion:
        """Read a completed job in a response of ListProcessingJobs."""
        created_at = _seconds(summary["CreationTime"])
        ended_at = summary.get("ProcessingEndTime") or summary.get("LastModifiedTime")
        job_name, job_arn = summary["ProcessingJobName"], summary["ProcessingJobArn"]
        if not (job_name and isinstance(job_name, str) and isinstance(job_arn, str)):
            raise ValueError("it has no name, or no ARN")
        return cls(
            job_name=job_name,
            job_arn=job_arn,
            created_at=created_at,
            ended_at=created_at if ended_at is None else _seconds(ended_at),
        )


@dataclass
class CompletionHistory:
    """The completions that aren't new any more; all times are the service's, in seconds since the epoch."""

    began_at: float
    """Completions before this time don't count as new."""
    looked_at: float
    """When the last complete poll began."""
    known: dict[str, float] = field(default_factory=dict)
    """The times of known completions by their ids, as far back as a poll goes."""

    @property
    def looks_back_to(self) -> float:
        """The time from which on the next poll lists jobs."""
        return self.looked_at - OVERLAP

    def is_news(self, completion: Completion) -> bool:
        """Return whether a completion is new."""
        recent = completion.ended_at >= self.began_at and completion.ended_at > self.looks_back_to
        return recent and completion.id not in self.known

    def note(self, completion: Completion) -> None:
        """Mark a completion as known."""
        self.known[completion.id] = completion.ended_at

    def without(self, completions: Iterable[Completion]) -> CompletionHistory:
        """Return a history without these completions."""
        ids = {completion.id for completion in completions}
        return replace(self, known={key: ended_at for key, ended_at in self.known.items() if key not in ids})

    def advance(self, moment: float) -> None:
        """Move to a complete poll that began at this time, and forget what later polls won't list any more."""
        self.looked_at = max(self.looked_at, moment)
        self.known = {key: ended_at for key, ended_at in self.known.items() if ended_at > self.looks_back_to}

    def to_plain(self) -> dict[str, Any]:
        """Return the history as plain JSON."""
        return {"began_at": self.began_at, "looked_at": self.looked_at, "known": dict(self.known)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> CompletionHistory:
        """Read the result of `to_plain`."""
        return cls(plain["began_at"], plain["looked_at"], dict(plain["known"]))


@dataclass(frozen=True)
class Look:
    """The result of one poll."""

    news: list[Completion]
    """The new completions, oldest first."""
    began_at: float
    """When the poll began, by the service's clock."""


async def beginning(calls: AwsCalls) -> CompletionHistory:
    """Return a history that begins now, by the service's clock."""
    now = datetime.now(timezone.utc)
    request = {"MaxResults": 1, "CreationTimeAfter": now}
    answer = await calls.sagemaker("list_processing_jobs", "the time", request)
    moment = server_time(answer) or now.timestamp()
    return CompletionHistory(began_at=moment, looked_at=moment)


async def look_for_completions(calls: AwsCalls, job_filter: JobFilter, history: CompletionHistory) -> Look:
    """List new completions of matching jobs; those that don't match are marked as known, so as not to check them again.

    Raises:
        ServiceError: AWS refused, or can't be reached; what was marked until then stays marked.
    """
    began_at: float | None = None
    found: dict[str, Completion] = {}
    async for answer in _pages(calls, job_filter, history):
        began_at = began_at or server_time(answer)
        for completion in _completions(answer):
            if job_filter.fits_name(completion.job_name) and history.is_news(completion):
                found[completion.id] = completion
    news = []
    for completion in sorted(found.values(), key=lambda item: (item.ended_at, item.job_name)):
        if not job_filter.tags or job_filter.fits_tags(await _tags(calls, completion)):
            news.append(completion)
        else:
            history.note(completion)
    return Look(news, history.looked_at if began_at is None else began_at)


def _completions(answer: Mapping[str, Any]) -> Iterator[Completion]:
    """Yield the jobs of a page; one that can't be read is left to the next poll, without affecting the others."""
    for summary in answer["ProcessingJobSummaries"]:
        try:
            yield Completion.from_summary(summary)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            name = summary.get("ProcessingJobName") if isinstance(summary, dict) else None
            log.warning("ListProcessingJobs returned an unreadable entry for %s: %r", name or "a job", error)


def _seconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


async def _pages(
    calls: AwsCalls, job_filter: JobFilter, history: CompletionHistory
) -> AsyncIterator[Mapping[str, Any]]:
    request: dict[str, Any] = {
        "StatusEquals": JobStatus.COMPLETED.value,
        "LastModifiedTimeAfter": datetime.fromtimestamp(history.looks_back_to, timezone.utc),
        "MaxResults": PAGE,
    }
    if job_filter.job_name_prefix:
        request["NameContains"] = job_filter.job_name_prefix
    seen: set[str] = set()
    while True:
        answer = await calls.sagemaker("list_processing_jobs", "completed processing jobs", request)
        with answer_read("ListProcessingJobs", "completed processing jobs"):
            token = new_token(checked_page(answer).get("NextToken"), seen)
        yield answer
        if token is None:
            return
        request["NextToken"] = token


async def _tags(calls: AwsCalls, completion: Completion) -> dict[str, str]:
    request = {"ResourceArn": completion.job_arn}
    tags: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        answer = await calls.sagemaker("list_tags", completion.job_name, request)
        with answer_read("ListTags", completion.job_name):
            tags.update((tag["Key"], tag["Value"]) for tag in answer["Tags"])
            token = new_token(answer.get("NextToken"), seen)
        if token is None:
            return tags
        request["NextToken"] = token
