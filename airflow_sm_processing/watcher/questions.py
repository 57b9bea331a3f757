"""What is asked of SageMaker about jobs: a few times over where it may pass, and as often as throttling asks for."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import AccessDeniedError, JobNotFoundError, ServiceError, TransientError
from airflow_sm_processing.processing.aws_errors import is_throttle
from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.listing import is_terminal, pages, server_time
from airflow_sm_processing.watcher.permits import Priority
from airflow_sm_processing.watcher.watches import JobEnd, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from airflow_sm_processing.watcher.calls import AwsCalls
    from airflow_sm_processing.watcher.listing import Page
    from airflow_sm_processing.watcher.watches import Watches

__all__ = ["Questions"]

log = logging.getLogger(__name__)

_PAUSE = 0.5
_WORTH_A_LINE = 30.0
_DENIAL_LASTS = 600.0  # before listing is tried again
_CLOCK_SKEW = 60.0  # between this machine's clock and the service's, if it doesn't tell its own
_ATTEMPTS = 3  # at one call in one round
_AT_ONCE = 50  # descriptions asked for together; their permits space them


class Questions:
    """Asks, and lets those go whose patience ends while no answer comes."""

    def __init__(self, calls: AwsCalls, watches: Watches) -> None:
        self._calls = calls
        self._watches = watches
        self._trouble_since: float | None = None
        self._denied_at = -math.inf
        self._answered: tuple[float | None, float] = None, 0.0
        self.answered_at: float | None = None
        """The service's clock at the first answer since this was last set to None."""

    @property
    def may_list(self) -> bool:
        """Whether listing wasn't denied lately."""
        return now() - self._denied_at >= _DENIAL_LASTS

    def note_denied(self, error: AccessDeniedError) -> None:
        """Note that listing was denied."""
        self._denied_at = now()
        log.warning("%s Without sagemaker:ListProcessingJobs each job costs a call at each look.", error)

    def pages(
        self,
        *,
        priority: Priority = Priority.STATUS,
        modified_after: float | None = None,
        modified_before: float | None = None,
        status: str | None = None,
        name_contains: str | None = None,
    ) -> AsyncIterator[Page]:
        """Yield the pages of a listing; see `listing.pages`."""

        async def call(request: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self._ask("list_processing_jobs", "the account's jobs", request, priority)

        return pages(
            call,
            modified_after=modified_after,
            modified_before=modified_before,
            status=status,
            name_contains=name_contains,
            by_name=name_contains is None,
        )

    async def describe(self, job_names: Collection[str], *, priority: Priority = Priority.STATUS) -> None:
        """Look at jobs one by one, and tell those who wait for one that has ended or isn't there."""
        names = list(job_names)
        for start in range(0, len(names), _AT_ONCE):
            asking = (self._describe(name, priority) for name in names[start : start + _AT_ONCE])
            for failure in await asyncio.gather(*asking, return_exceptions=True):  # none goes on when one has failed
                if failure is not None:
                    raise failure

    async def _describe(self, job_name: str, priority: Priority) -> None:
        if job_name not in self._watches:
            return
        request = {"ProcessingJobName": job_name}
        try:
            answer = await self._ask("describe_processing_job", job_name, request, priority)
        except (TransientError, AccessDeniedError) as error:  # of this job alone, it may be: the others mustn't wait
            self._watches.failed(job_name, error)
        except JobNotFoundError as error:
            self._watches.unknown(job_name, str(error))
        except ServiceError as error:
            self._watches.over(job_name, JobEnd(Verdict.TROUBLE, str(error)))
        else:
            self._watches.seen(job_name, has_ended=is_terminal(answer["ProcessingJobStatus"]))

    async def _ask(
        self, method: str, subject: str, request: Mapping[str, Any], priority: Priority
    ) -> Mapping[str, Any]:
        attempts, pause = _ATTEMPTS, _PAUSE
        while True:
            try:
                answer = await self._calls.sagemaker(method, subject, request, priority=priority)
            except TransientError as error:
                self._bear(error)
                if is_throttle(error.code):  # the permits' pace answers those
                    continue
                attempts -= 1
                if not attempts:
                    raise
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  # full jitter, no secret
                pause *= 2
            else:
                self._note_success(answer)
                return answer

    def _bear(self, error: TransientError) -> None:
        """Let those go whose patience is over."""
        moment = now()
        if self._trouble_since is None:
            self._trouble_since = moment
            if not is_throttle(error.code):
                log.warning("%s Processing jobs are watched on, %d of them.", error, len(self._watches))
        for watch in self._watches:
            lasted = moment - max(self._trouble_since, watch.began)
            if lasted >= watch.max_transient_seconds:
                self._watches.out_of_patience(watch, error, lasted)

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
        """Give the time by the service's clock, as its last answer lets us reckon; None if it didn't tell."""
        told, then = self._answered
        return None if told is None else told + now() - then

    def clock_ahead(self) -> float:
        """Give how far the service's clock is ahead of this machine's, in seconds; 0 while that isn't known."""
        told = self.server_now()
        return 0.0 if told is None else told - time.time()
