"""Describe and List calls, retried on transient errors and paced under throttling."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from tenacity import stop_after_attempt, wait_random_exponential

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobNotFoundError,
    ProcessingError,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing.aws_calls import answer_read, is_throttle, new_token, retry_async
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.watcher.client import Priority, now, past_throttles
from airflow_sm_processing.watcher.watches import JobEnd, JobOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping

    from airflow_sm_processing.watcher.client import AwsCalls
    from airflow_sm_processing.watcher.watches import Watches


__all__ = [
    "PAGE",
    "JobQueries",
    "Page",
    "checked_page",
    "is_terminal",
    "named_alike",
    "pages",
    "server_time",
    "status_of",
]


PAGE = 100
"""The number of jobs on a page, the maximum of MaxResults in the service's model."""
_STATUS = re.compile("[A-Za-z]{1,64}")  # one of `JobStatus`, or of a later version of the service
_TERMINAL = frozenset(status.value for status in JobStatus if status.is_terminal)


class Page(NamedTuple):
    """One response of ListProcessingJobs."""

    statuses: dict[str, str]
    """ProcessingJobStatus by job name."""
    is_last: bool
    answered_at: float | None
    """The response's time by the service's clock, in seconds since the epoch; None if it has none."""
    unreadable: tuple[str, ...] = ()
    """The jobs on the page whose status can't be read."""


def is_terminal(status: str) -> bool:
    """Return whether a ProcessingJobStatus means that the job has ended."""
    return status in _TERMINAL


def status_of(job_name: str, answer: Mapping[str, Any]) -> str:
    """Return the status in a response of DescribeProcessingJob; call it within `answer_read`.

    Raises:
        ValueError: It has no status, or is about another job.
    """
    named, status = answer.get("ProcessingJobName"), answer.get("ProcessingJobStatus")
    if not isinstance(named, str) or named.lower() != job_name.lower():
        raise ValueError("it has no ProcessingJobName, or another job's")
    if not _is_status(status):
        raise ValueError("it has no ProcessingJobStatus, or none that is a word")
    return str(status)


def checked_page(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a response of ListProcessingJobs if it has a list of jobs, unchecked; call it within `answer_read`.

    Raises:
        ValueError: It has no such list.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("ProcessingJobSummaries"), list):
        raise ValueError("it has no list of ProcessingJobSummaries")  # noqa: TRY004  # handled like the other errors
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
            continue  # it has no readable name; if the job is watched, it will be described
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
        modified_after: In seconds since the epoch; it is rounded down, as the API takes whole seconds.
        modified_before: The same; without it, jobs that change during the listing are listed too.
        status: The only ProcessingJobStatus to list.
        name_contains: A part of the names, ignoring case; the newest of these jobs come first.
        by_name: Whether to sort by name rather than by creation. Names are unique, so that no job is skipped between
            two pages, which may happen to jobs that were created in the same second.

    Raises:
        MalformedResponseError: A page's token leads back to a page that was already read.
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
    """Yield the names in groups of at most `most`, each with the common prefix of its names."""
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
    """Return the time of a response by the service's clock, as this machine's may be wrong by minutes."""
    try:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        return parsedate_to_datetime(date).timestamp() if date else None
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None


log = logging.getLogger(__name__)

_PAUSES = wait_random_exponential(multiplier=0.5, max=2.0)
_WORTH_A_LINE = 30.0
_DENIAL_LASTS = 600.0  # seconds before listing is tried again
_CLOCK_SKEW = 60.0  # seconds between this machine's clock and the service's, if the latter isn't known
_ATTEMPTS = 3  # per call and round
_MOST_ASKED = 3  # concurrent requests for the same page
_TOLD_EACH, _MOST_TOLD = 600.0, 1000
_OPERATIONS = {"describe_processing_job": "DescribeProcessingJob", "list_processing_jobs": "ListProcessingJobs"}
_AT_ONCE = 50  # concurrent descriptions; the rate limiter spaces them


class _Slow:
    """Whether a response takes long."""

    def __init__(self) -> None:
        self.noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self) -> None:
        """Record that it does."""
        if not self.noted.done():
            self.noted.set_result(None)


class JobQueries:
    """Makes the calls, and releases waiters whose retry budget is used up before there is a response."""

    def __init__(self, calls: AwsCalls, watches: Watches) -> None:
        self._calls = calls
        self._watches = watches
        self._trouble_since: float | None = None
        self._denied_at = -math.inf
        self._slow: dict[str, asyncio.Future[None]] = {}
        self._late_pages: set[asyncio.Future[Any]] = set()
        self._told: dict[str, float] = {}
        self._answered: tuple[float | None, float] = None, 0.0
        self.answered_at: float | None = None
        """The service's time in the first response since this was last set to None."""

    @property
    def may_list(self) -> bool:
        """Whether listing wasn't denied recently."""
        return now() - self._denied_at >= _DENIAL_LASTS

    def note_denied(self, error: AccessDeniedError) -> None:
        """Record that listing was denied."""
        self._denied_at = now()
        log.warning("%s Without sagemaker:ListProcessingJobs, each job needs a Describe call at each poll.", error)

    def pages(
        self,
        *,
        priority: Priority = Priority.STATUS,
        modified_after: float | None = None,
        modified_before: float | None = None,
        status: str | None = None,
        name_contains: str | None = None,
    ) -> AsyncIterator[Page]:
        """Yield the pages of a listing; see the module's `pages`."""

        async def call(request: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self._asked_again_if_slow("list_processing_jobs", "the account's jobs", request, priority)

        return pages(
            call,
            modified_after=modified_after,
            modified_before=modified_before,
            status=status,
            name_contains=name_contains,
            by_name=name_contains is None,
        )

    async def describe(self, job_names: Collection[str], *, priority: Priority = Priority.STATUS) -> None:
        """Describe jobs one by one, and notify the waiters of those that have ended or don't exist."""
        names = list(job_names)
        for start in range(0, len(names), _AT_ONCE):
            asking = (self._describe(name, priority) for name in names[start : start + _AT_ONCE])
            for failure in await asyncio.gather(*asking, return_exceptions=True):  # so that all end before a failure
                if failure is not None:
                    raise failure

    async def _describe(self, job_name: str, priority: Priority) -> None:
        """Describe a job; if its response takes long, don't wait for it, so that the others can go on."""
        if job_name not in self._watches or job_name in self._slow:
            return
        slow = _Slow()
        looking = asyncio.ensure_future(self._look_at(job_name, priority, slow.note))
        try:
            await asyncio.wait({looking, slow.noted}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            looking.cancel()
            await asyncio.wait({looking})
            raise
        finally:
            slow.noted.cancel()
        if looking.done():
            looking.result()  # raises an error that concerns all jobs
        else:
            self._slow[job_name] = looking
            looking.add_done_callback(lambda _: self._slow.pop(job_name, None))
            looking.add_done_callback(_take)

    async def close(self) -> None:
        """Stop, and leave no asyncio task behind."""
        tasks = [*self._slow.values(), *self._late_pages]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_at(self, job_name: str, priority: Priority, on_slow: Callable[[], None]) -> None:
        request = {"ProcessingJobName": job_name}
        try:
            answer = await self._ask("describe_processing_job", job_name, request, priority, on_slow)
        except (TransientError, AccessDeniedError) as error:  # maybe of this job alone: don't hold up the others
            self._watches.failed(job_name, error)
        except JobNotFoundError as error:
            self._watches.unknown(job_name, str(error))
        except ServiceError as error:
            self._watches.over(job_name, JobEnd(JobOutcome.TROUBLE, str(error)))
        except ProcessingError:  # an error of the connection, such as wrong settings
            raise
        except Exception as error:
            # One job's error must not affect the others; its worker has to handle it.
            log.exception("The watcher failed. Only the watch of processing job %s is over.", job_name)
            self._watches.over(job_name, JobEnd(JobOutcome.TROUBLE, f"{type(error).__name__}: {error}"))
        else:
            self._watches.shown(job_name, answer["ProcessingJobStatus"])

    async def _asked_again_if_slow(
        self, method: str, subject: str, request: Mapping[str, Any], priority: Priority
    ) -> Mapping[str, Any]:
        """Repeat a call whose response takes long, and use the first response, as all watched jobs wait for it."""
        asked: set[asyncio.Future[Any]] = set()
        try:
            for _ in range(_MOST_ASKED):
                slow = _Slow()
                asked.add(asyncio.ensure_future(self._ask(method, subject, request, priority, slow.note)))
                await asyncio.wait({*asked, slow.noted}, return_when=asyncio.FIRST_COMPLETED)
                slow.noted.cancel()
                if any(task.done() for task in asked):
                    break
            answered: set[asyncio.Future[Any]] = set()
            left = asked
            while left and not any(task.exception() is None for task in answered):
                answered, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            raise
        for task in asked - answered:  # their threads can't be interrupted, and nobody waits for them
            task.cancel()
            self._late_pages.add(task)
            task.add_done_callback(self._late_pages.discard)
            task.add_done_callback(_take)
        answer: Mapping[str, Any] = min(answered, key=lambda task: task.exception() is not None).result()
        return answer

    async def _ask(
        self,
        method: str,
        subject: str,
        request: Mapping[str, Any],
        priority: Priority,
        on_slow: Callable[[], None] | None = None,
    ) -> Mapping[str, Any]:
        async def ask() -> Mapping[str, Any]:
            answer = await self._calls.sagemaker(method, subject, request, priority=priority, on_slow=on_slow)
            with answer_read(_OPERATIONS[method], subject):
                _check(method, subject, answer)
            return answer

        def note(error: TransientError) -> None:
            self._note_trouble(error, subject)

        answer = await retry_async(lambda: past_throttles(ask, note), stop_after_attempt(_ATTEMPTS), wait=_PAUSES)
        self._note_success(answer)
        return answer

    def _note_trouble(self, error: TransientError, subject: str) -> None:
        """Release the waiters whose retry budget is used up."""
        moment = now()
        if self._trouble_since is None:
            self._trouble_since = moment
            if not is_throttle(error.code) and self._is_worth_a_line(subject, moment):
                log.warning("%s Still watching %d processing jobs.", error, len(self._watches))
        for watch in self._watches:
            lasted = moment - max(self._trouble_since, watch.began)
            if lasted >= watch.max_transient_seconds:
                self._watches.out_of_budget(watch, error, lasted)

    def _is_worth_a_line(self, subject: str, moment: float) -> bool:
        """Return whether to log an error on this subject, which may recur each round: only if none was lately."""
        if len(self._told) > _MOST_TOLD:
            self._told.clear()
        lately = moment - self._told.get(subject, -math.inf) < _TOLD_EACH
        if not lately:
            self._told[subject] = moment
        return not lately

    def _note_success(self, answer: Mapping[str, Any]) -> None:
        if self._trouble_since is not None:
            lasted = now() - self._trouble_since
            if lasted > _WORTH_A_LINE:
                log.info("SageMaker answers again after %.0f s.", lasted)
            self._trouble_since = None
        self._answered = server_time(answer), now()
        if self.answered_at is None:
            self.answered_at = self._answered[0] or time.time() - _CLOCK_SKEW

    def server_now(self) -> float | None:
        """Return the present time by the service's clock, estimated from its last response; None if unknown."""
        told, then = self._answered
        return None if told is None else told + now() - then

    def clock_ahead(self) -> float:
        """Return how far the service's clock is ahead of this machine's, in seconds; 0 if unknown."""
        told = self.server_now()
        return 0.0 if told is None else told - time.time()


def _take(task: asyncio.Future[Any]) -> None:
    """Retrieve the result of a task that nothing awaits any more; the event loop would warn about it otherwise."""
    if not task.cancelled():
        task.exception()


def _check(method: str, subject: str, answer: Mapping[str, Any]) -> None:
    if method == "list_processing_jobs":
        checked_page(answer)
    else:
        status_of(subject, answer)
