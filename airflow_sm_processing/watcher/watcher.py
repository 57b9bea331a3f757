"""Watch all jobs of a connection with few calls, and stop jobs from an event loop."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import AccessDeniedError, ProcessingError, ServiceError
from airflow_sm_processing.processing.aws_calls import RetryBudget, answer_read, jittered, retry_async
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.watcher.client import now, set_within
from airflow_sm_processing.watcher.queries import JobQueries, is_terminal, status_of
from airflow_sm_processing.watcher.reconciler import Changes, Reconciler
from airflow_sm_processing.watcher.watches import JobEnd, JobOutcome, Watches

if TYPE_CHECKING:
    from airflow_sm_processing.watcher.client import AwsCalls
    from airflow_sm_processing.watcher.watches import Watch


__all__ = ["JobWatcher", "has_ended", "stop_job"]


log = logging.getLogger(__name__)


async def has_ended(calls: AwsCalls, job_name: str, budget: RetryBudget) -> bool:
    """Return whether a job has a terminal status.

    Raises:
        ServiceError: There was no answer within the retry budget, or retrying won't help.
    """
    return is_terminal(await _status(calls, job_name, budget))


async def _status(calls: AwsCalls, job_name: str, budget: RetryBudget) -> str:
    """Describe a job.

    Raises:
        ServiceError: There was no answer within the retry budget, or retrying won't help.
    """

    async def describe() -> str:
        answer = await calls.sagemaker("describe_processing_job", job_name, {"ProcessingJobName": job_name})
        with answer_read("DescribeProcessingJob", job_name):
            return status_of(job_name, answer)

    return await retry_async(describe, budget)


async def stop_job(calls: AwsCalls, job_name: str, budget: RetryBudget) -> None:
    """Ask SageMaker to stop a job; this has no effect on one that has ended.

    Raises:
        ServiceError: There was no answer within the retry budget, or the stop was refused.
    """

    async def stop() -> None:
        await calls.sagemaker("stop_processing_job", job_name, {"ProcessingJobName": job_name})

    try:
        await retry_async(stop, budget)
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        status = await _status(calls, job_name, budget)
        if status == JobStatus.IN_PROGRESS.value:
            raise
        log.info("Processing job %s is %s already.", job_name, status)
    else:
        log.info("Asked SageMaker to stop processing job %s.", job_name)


_PROBES = 2
_FEW = 3  # up to so many new watches are described, since the listings that show their ends need as many calls
_LONG_AGO = 3600.0
_LAST_LOOK_SECONDS = 20.0
_MOST_ROUNDS_DESCRIBING = 16
_ROUNDS_TO_PAUSES = 16  # even if calls are scarce, some are left to the reconciler and to logs


class JobWatcher:
    """Notifies each waiter when its job has ended, within the shortest poll interval that a waiter asks for.

    A round lists the changed jobs. If that takes more calls than there are watched jobs, the next rounds describe each
    of these instead, and then listing is tried again. The jobs of new watches are checked once, and the slower
    reconciler finds what no listing of changes has shown.
    """

    def __init__(self, calls: AwsCalls) -> None:
        self._calls = calls
        self._watches = Watches()
        self._questions = JobQueries(calls, self._watches)
        self._changes = Changes(self._questions, self._watches)
        self._reconciler = Reconciler(self._questions, self._watches, self._changes, calls.permits)
        self._rounds_to_describe = 0
        self._described_rounds = 0
        self._listing_failed = False
        self._round_seconds = 0.0
        self._round_began = now()
        self._faster = asyncio.Event()
        self._last_looks: set[asyncio.Task[None]] = set()

    async def end_of(self, watch: Watch) -> JobEnd:
        """Wait for the end of a watch; cancel it to give up."""
        if not len(self._watches):
            self._round_began = now()
        if not len(self._watches) or watch.poll_interval < self._watches.poll_interval:
            self._faster.set()
        self._watches.add(watch)
        timer = self._timer(watch)
        try:
            return await watch.end
        finally:
            self._watches.remove(watch)
            if timer is not None:
                timer.cancel()

    async def run(self) -> None:
        """Watch until cancelled."""
        reconciling = asyncio.ensure_future(self._reconciler.run())
        try:
            with suppress(Exception):  # the first round gets the same error, and handles it
                await self._calls.prepare()
            while True:
                await self._pause()
                self._round_began = now()
                with self._calls.permits.urgent():
                    await self._round_without_failing()
                self._round_seconds = now() - self._round_began
                self._reconciler.round_is_over()
        finally:
            tasks = [reconciling, *self._last_looks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._questions.close()

    async def _pause(self) -> None:
        """Wait for the next round; a round's duration counts twice, since a job may end at its start or its end."""
        jitter = jittered(1.0, low=0.85, high=1.0)
        while True:
            self._faster.clear()
            interval = self._watches.poll_interval * jitter
            pause = max(interval - 2 * self._round_seconds, min(self._round_seconds / _ROUNDS_TO_PAUSES, interval))
            left = self._round_began + self._round_seconds + pause - now()
            if left <= 0:
                return
            if not await set_within(self._faster, left):
                return

    async def _round_without_failing(self) -> None:
        try:
            await self._round()
        except ServiceError as error:  # for example, the connection can't be read
            for job_name in self._watches.job_names:
                self._watches.failed(job_name, error)
        except ProcessingError as error:  # for example, the connection's settings are wrong
            self._give_up(str(error))
        except Exception as error:
            # If the watcher died, thousands of tasks would wait in vain: let their workers check the jobs instead.
            log.exception("The watcher failed.")
            self._give_up(f"{type(error).__name__}: {error}")

    def _give_up(self, message: str) -> None:
        for job_name in self._watches.job_names:
            self._watches.over(job_name, JobEnd(JobOutcome.TROUBLE, message))

    async def _round(self) -> None:
        if not len(self._watches):
            return
        self._questions.answered_at = None
        newcomers = self._watches.newcomers()
        known = set(self._watches.job_names) - {watch.job_name for watch in newcomers}
        if not known:
            self._changes.begin_at(None)
        elif not await self._listed(len(known)):
            if not await self._described(known):
                return
            self._changes.begin_at(self._questions.answered_at)
        await self._look_at(newcomers)
        self._changes.began_by(self._questions.answered_at)

    async def _described(self, job_names: set[str]) -> bool:
        """Describe jobs, two of them first; if both fail, skip the others, as SageMaker may not be reachable at all.

        The two are chosen at random, so that a job that can never be described doesn't hold up the others each round.
        """
        rest = set(job_names)
        failure: Exception | None = None
        for name in random.sample(sorted(job_names), min(_PROBES, len(job_names))):
            rest.remove(name)
            await self._questions.describe({name})
            failure = next((watch.failure for watch in self._watches.of(name) if watch.failure is not None), None)
            if failure is None:
                await self._questions.describe(rest)
                return True
        if failure is not None:
            for job_name in rest:
                self._watches.failed(job_name, failure)
        return failure is None

    async def _listed(self, known: int) -> bool:
        """List what has changed, if that is cheaper, and return whether all changes were listed."""
        if known <= 1 or not self._questions.may_list:
            return False
        if self._rounds_to_describe:
            self._rounds_to_describe -= 1
            return False
        hurry = self._calls.permits.is_scarce or self._round_seconds > self._watches.poll_interval / 4
        try:
            if await self._changes.look(max_pages=known, hurry=hurry):
                self._described_rounds = 0
                self._listing_failed = False
                return True
        except AccessDeniedError as error:
            self._questions.note_denied(error)
            return False
        except ServiceError as error:
            if not self._described_rounds and not self._listing_failed:  # the next round lists what this one didn't
                self._listing_failed = True
                return True
            log.debug("Jobs are described, for they can't be listed: %s", error)
        self._described_rounds = min(max(2 * self._described_rounds, 1), _MOST_ROUNDS_DESCRIBING)
        self._rounds_to_describe = self._described_rounds
        return False

    async def _look_at(self, newcomers: list[Watch]) -> None:
        """Find new watches whose jobs ended before the watch began."""
        for watch in newcomers:
            watch.looked_at = True
        rest = [watch for watch in newcomers if not self._changes.knows(watch.job_name, watch.since)]
        if rest and not await self._caught_up(rest) and not await self._described({watch.job_name for watch in rest}):
            for watch in rest:
                watch.looked_at = False
        if any(watch.seen_at is None for watch in newcomers):
            self._reconciler.soon()

    async def _caught_up(self, newcomers: list[Watch]) -> bool:
        if len(newcomers) <= _FEW or not self._questions.may_list:
            return False
        moments = [watch.since for watch in newcomers if watch.since is not None]
        names = {watch.job_name for watch in newcomers}
        try:
            if len(moments) < len(newcomers) or min(moments) < time.time() - _LONG_AGO:
                await self._reconciler.look_at(names)
            elif not await self._changes.catch_up(min(moments), max_pages=len(newcomers)):
                await self._reconciler.look_closer(names)
        except AccessDeniedError as error:
            self._questions.note_denied(error)
        except ServiceError as error:
            log.debug("Jobs are described, for they can't be listed: %s", error)
        else:
            return True
        return False

    def _timer(self, watch: Watch) -> asyncio.TimerHandle | None:
        if watch.deadline is None:
            return None
        loop = asyncio.get_running_loop()
        return loop.call_later(max(0.0, watch.deadline - time.time()), self._at_deadline, watch)

    def _at_deadline(self, watch: Watch) -> None:
        task = asyncio.ensure_future(self._look_last(watch))
        self._last_looks.add(task)
        task.add_done_callback(self._last_looks.discard)

    async def _look_last(self, watch: Watch) -> None:
        """Check the job a last time, and stop it if it hasn't ended; if this fails, the worker tries again."""
        budget = RetryBudget(_LAST_LOOK_SECONDS, clock=now)
        try:
            if await has_ended(self._calls, watch.job_name, budget):
                watch.over(JobEnd(JobOutcome.ENDED))
                return
            if watch.stop_at_deadline:
                await stop_job(self._calls, watch.job_name, budget)
        except ProcessingError as error:
            watch.over(JobEnd(JobOutcome.DEADLINE, str(error)))
        except Exception as error:
            log.exception("The last look at processing job %s failed.", watch.job_name)
            watch.over(JobEnd(JobOutcome.DEADLINE, f"{type(error).__name__}: {error}"))
        watch.over(JobEnd(JobOutcome.DEADLINE))
