"""Write a job's log lines to the log of the deferred task, with secret values masked."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from tenacity import stop_never, wait_random_exponential

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.processing.aws_calls import retry_async
from airflow_sm_processing.processing.log_events import LogLine, LogPosition
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.triggers.log_positions import add_span, forget_spans, is_log_emptied, spans_of
from airflow_sm_processing.watcher.client import Priority, past_throttles
from airflow_sm_processing.xcoms import LOG_POSITION_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_sm_processing.processing.secrets import Mask
    from airflow_sm_processing.triggers.events import DeferredTask
    from airflow_sm_processing.triggers.log_positions import Span
    from airflow_sm_processing.triggers.shared_watcher import TriggerWatcher
    from airflow_sm_processing.watcher.client import AwsCalls
    from airflow_sm_processing.watcher.log_feed import Followed


__all__ = ["JobEnvironment", "LiveLog", "NoLog"]


_PAUSES = wait_random_exponential(multiplier=1, max=30)


class JobEnvironment:
    """One job's environment, which is requested until it is known, can't be known, or is no longer needed."""

    def __init__(self, calls: AwsCalls, job_name: str, secrets: JobSecrets, *, turn: asyncio.Lock, logger: Any) -> None:
        """Begin to request it, in the trigger's own context.

        Args:
            calls: The calls of the job's connection.
            job_name: The job's name.
            secrets: Receives the environment.
            turn: Shared by all requests, so that thousands of triggers that start together don't delay logs.
            logger: The task's log.
        """
        self._calls = calls
        self._turn = turn
        self._job_name = job_name
        self._secrets = secrets
        self._logger = logger
        self._known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asking = asyncio.ensure_future(self._ask())

    async def is_known(self) -> bool:
        """Wait until the environment is known or can't be known, and return which."""
        return await asyncio.shield(self._known)

    def report(self, environment: Mapping[str, str]) -> None:
        """Use an environment that was learnt elsewhere."""
        self._asking.cancel()
        self._take(environment)

    def give_up(self) -> None:
        """Stop requesting it."""
        self._asking.cancel()
        self._settle(is_known=False)

    async def close(self) -> None:
        """Stop, and leave no asyncio task behind."""
        self.give_up()
        await asyncio.gather(self._asking, return_exceptions=True)

    def _take(self, environment: Mapping[str, str]) -> None:
        self._secrets.learn(environment)
        self._settle(is_known=True)

    def _settle(self, *, is_known: bool) -> None:
        if not self._known.done():
            self._known.set_result(is_known)

    async def _ask(self) -> None:
        try:
            self._take(await retry_async(lambda: past_throttles(self._answer), stop_never, wait=_PAUSES))
        except ProcessingError as error:
            self._logger.warning(
                "The job's lines come at its end, from a worker: what to hide in them can't be known here. %s",
                error,
            )
            self._settle(is_known=False)

    async def _answer(self) -> Mapping[str, str]:
        request = {"ProcessingJobName": self._job_name}
        async with self._turn:
            answer = await self._calls.sagemaker(
                "describe_processing_job", self._job_name, request, priority=Priority.LOGS
            )
        return answer.get("Environment") or {}


log = logging.getLogger(__name__)

_FRESH_SECONDS = 10.0  # a trigger that starts this soon after the submission is the job's first
_TURNS = 2
_HANDED_OVER = 200  # lines; not more, as Airflow writes a trigger's event to the task's log
_STALE_SECONDS = 20.0  # a process that was frozen for longer may have lost its triggers to another one
_SETTLE_SECONDS, _LONGEST_SETTLE = 2.0, 60.0


class NoLog:
    """The log of a job whose lines aren't shown."""

    position_kept = False

    async def close(self) -> None:
        """Do nothing."""

    def report_environment(self, environment: Mapping[str, str]) -> None:
        """Do nothing."""

    async def finish(self) -> bool:
        """Return True: there is nothing to show."""
        return True

    async def forget_position(self) -> None:
        """Do nothing."""

    async def position(self) -> None:
        """Return None: nothing was shown."""


class LiveLog:
    """Shows a job's lines in the log of its deferred task, from where an earlier trigger of the task left off.

    A trigger's arguments can't change while it runs, so the position is saved in an XCom of the task, with a delay: if
    a triggerer is killed, the lines of the last seconds appear twice, and none is lost.

    No line is shown before the values to hide are known; if they can't be known, a worker shows all lines.
    """

    def __init__(
        self,
        shared: TriggerWatcher,
        task: DeferredTask | None,
        *,
        job_name: str,
        since: float | None,
        hosts: int | None,
        mask: Mask,
        logger: Any,
    ) -> None:
        """Follow a job; call it in the trigger's own asyncio task, as Airflow finds a trigger's log by its context."""
        self._feed = shared.logs
        self._saver = shared.positions
        self._task = task
        self._job_name = job_name
        self._since = since
        self._hosts = hosts
        self._logger = logger
        self._secrets = JobSecrets(mask=mask)
        self._environment = (
            JobEnvironment(shared.calls, job_name, self._secrets, turn=shared.environment_permit, logger=logger)
            if mask
            else None
        )
        self._before: LogPosition | None = None
        self._replayed: Sequence[Span] = ()
        self._followed: Followed | None = None
        self.position_kept = task is not None
        """Whether there may be an XCom to delete; deleting a missing one does no harm."""
        self.taken_at = 0.0
        self._taken: LogPosition | None = None
        self._is_unkept = False
        self._is_over = False
        self._key = (job_name, since, None if task is None else task.identity)
        self._beginning = asyncio.ensure_future(self._begin())

    async def close(self) -> None:
        """Stop following the job; everything important is done before the first await, which may be cancelled."""
        self._beginning.cancel()
        self._saver.forget(self)
        if self._followed is not None:
            self._followed.close()
        if self._is_over:
            forget_spans(self._key)
        elif self._followed is not None:
            add_span(self._key, self._before, self._followed.position())
        await asyncio.gather(self._beginning, return_exceptions=True)
        if self._environment is not None:
            await self._environment.close()

    def report_environment(self, environment: Mapping[str, str]) -> None:
        """Learn the job's environment from a description of it."""
        if self._environment is not None:
            self._environment.report(environment)

    @property
    def has_news(self) -> bool:
        """Whether lines were shown since the position was last recorded."""
        return self._followed is not None and (self._followed.has_news or self._is_unkept)

    def take_position(self) -> None:
        """Record how far the log is shown now, for saving it a little later."""
        self.taken_at = time.monotonic()
        self._is_unkept = False
        self._taken = None if self._followed is None else self._followed.position().coarse()

    async def keep_position(self) -> None:
        """Save the recorded position for the next trigger of the task, unless it may be outdated."""
        if time.monotonic() - self.taken_at > _STALE_SECONDS:
            self._is_unkept = True
            return
        if self._task is not None and self._taken is not None:
            try:
                await self._task.set_xcom(LOG_POSITION_KEY, self._taken.to_plain())
            except Exception:
                self._is_unkept = True
                raise

    async def position(self) -> dict[str, Any] | None:
        """Stop showing lines, and return the position from which a worker continues.

        It is the exact position, unless Airflow has emptied this triggerer's log and not all of it could be shown
        again: then the worker shows everything since this triggerer's first line, some of it for the second time.
        """
        if self._environment is not None:
            self._environment.give_up()
        await self._beginning
        if self._followed is None:
            reached, is_lost = self._before, bool(self._replayed)
        else:
            if self._followed.is_replaying:
                await self._settle()
            self._followed.close()  # a line shown after this would be shown again
            await self._let_lines_pass()
            reached, is_lost = self._followed.position(), self._followed.is_replaying
        self._is_over = True
        if is_lost:
            reached = self._replayed[0][0]
        return None if reached is None else reached.bounded(_HANDED_OVER).to_plain()

    async def finish(self) -> bool:
        """Show the remaining lines of an ended job; return False if they can't be read."""
        await self._beginning
        if not await self._settle():
            return False
        self._saver.forget(self)
        await self._let_lines_pass()
        return True

    async def _settle(self) -> bool:
        try:
            return self._followed is not None and await asyncio.wait_for(
                self._followed.settle(_SETTLE_SECONDS), _LONGEST_SETTLE
            )
        except asyncio.TimeoutError:
            return False

    async def forget_position(self) -> None:
        """Delete the saved position, because the task has ended."""
        self._is_over = True
        if self.position_kept and self._task is not None:
            await self._task.delete_xcom(LOG_POSITION_KEY)

    async def _let_lines_pass(self) -> None:
        """Wait until the supervisor has read what was logged, since it closes the task's log when the trigger ends.

        It gets lines and requests through two sockets, which it reads in turn: when it has answered two requests, it
        has read everything that was logged before.
        """
        if self._task is None:
            return
        try:
            for _ in range(_TURNS):
                await self._task.state()
        except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; none may end a job's wait
            log.debug("The supervisor doesn't say whether it has read the log: %r", error)

    async def _begin(self) -> None:
        spans = spans_of(self._key)
        self._before = await self._position_before(spans)
        self._replayed = spans if is_log_emptied() else ()
        if self._environment is not None and not await self._environment.is_known():
            return
        self._followed = self._feed.follow(
            self._job_name,
            self._show,
            position=self._before,
            since=self._since,
            hosts=self._hosts,
            replayed=self._replayed,
        )
        if self._task is not None:
            self._saver.keep(self)

    async def _position_before(self, spans: Sequence[Span]) -> LogPosition | None:
        """Return where to begin: where the last trigger of the task left off, here or in another triggerer.

        This process knows its own position exactly, but the saved one may be newer and from another process.
        """
        if not spans:
            is_first = self._since is not None and time.time() - self._since < _FRESH_SECONDS
            return None if is_first else await self._kept_position()
        here, kept = spans[-1][1], await self._kept_position()
        return here if kept is None else here.joined(kept)

    async def _kept_position(self) -> LogPosition | None:
        """Return the last saved position; a worker pushed the first, as Airflow logs errors for missing XComs."""
        if self._task is None:
            return None
        try:
            plain = await self._task.xcom(LOG_POSITION_KEY)
            return None if plain is None else LogPosition.from_plain(_own_streams(plain, self._job_name))
        except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; or somebody else wrote the value
            log.warning("The job's log is shown from its start, because its position couldn't be read: %r", error)
            return None

    def _show(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            self._secrets.hide_in_line(line).log_to(self._logger)


def _own_streams(plain: dict[str, Any], job_name: str) -> dict[str, Any]:
    """Return a position without another job's streams: one that was saved late may be from the task's previous try."""
    return {name: stream for name, stream in plain.items() if name.startswith(f"{job_name}/")}
