"""Whether there may be room for another job: none comes before a job of the same kind of instance has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError
from airflow_sm_processing.processing.aws_errors import answer_read
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.watcher.listing import checked_page, is_terminal, pages
from airflow_sm_processing.watcher.permits import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from airflow_sm_processing.watcher.calls import AwsCalls

__all__ = ["EndedJobs"]

_CLOCK_SKEW = 10.0  # seconds between the clock of the worker that was refused and the service's
_MOST_PAGES = 3
_MOST_DESCRIBED = 10


class EndedJobs:
    """Finds the jobs of a lane that have ended, whoever made them: a call for each look, and one for each ended job.

    Args:
        calls: Whom to ask.
        lane: The instance type that the jobs ran on, or several, separated by commas.
    """

    def __init__(self, calls: AwsCalls, lane: str) -> None:
        self._calls = calls
        self._types = frozenset(lane.split(","))
        self._seen: set[str] = set()

    def note(self, job_name: str) -> None:
        """Note that a job's end was heard of in another way, and made use of."""
        self._seen.add(job_name)

    async def since(self, moment: float) -> int | None:
        """Return how many have ended that nobody has heard of; None if that can't be known.

        Args:
            moment: Seconds since the epoch: at that time there was no room.
        """
        try:
            listed = await self._listed(moment - _CLOCK_SKEW)
            if listed is None:
                return None
            news = listed - self._seen
            self._seen &= listed  # the others ended before the last refusal, and are asked for no more
            if len(news) > _MOST_DESCRIBED:
                return None
            return sum([await self._is_of_lane(job_name) for job_name in sorted(news)])
        except ServiceError:
            return None

    async def _listed(self, after: float) -> set[str] | None:
        ended: set[str] = set()
        left = _MOST_PAGES
        async for page in pages(self._list, modified_after=after):
            ended |= {name for name, status in page.statuses.items() if is_terminal(status)}
            left -= 1
            if not left and not page.is_last:
                return None
        return ended

    async def _list(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        subject = "jobs that may have left room"
        answer = await self._calls.sagemaker("list_processing_jobs", subject, request, priority=Priority.SWEEP)
        with answer_read("ListProcessingJobs", subject):
            return checked_page(answer)

    async def _is_of_lane(self, job_name: str) -> bool:
        request = {"ProcessingJobName": job_name}
        try:
            answer = await self._calls.sagemaker("describe_processing_job", job_name, request, priority=Priority.SWEEP)
            description = JobDescription.from_response(answer)
        except JobNotFoundError:
            return False
        self._seen.add(job_name)
        return description.instance_type is None or description.instance_type in self._types
