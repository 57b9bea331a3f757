"""AWS calls from an event loop: in threads, paced by the connection's rate limiter, and each tried once."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections import deque
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_sm_processing.exceptions import AccessDeniedError, ServiceError, TransientError
from airflow_sm_processing.processing.aws_calls import answer_read, aws_call, is_throttle, jittered, readable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    MakeClient = Callable[[str], Any]
    """Returns a client for a service, such as `sagemaker`, that tries each call once."""

__all__ = ["AwsCalls", "Permits", "Priority", "now", "past_throttles", "set_within"]


def now() -> float:
    """Return the running loop's time, in seconds from an arbitrary moment."""
    return asyncio.get_running_loop().time()


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait at most that many seconds for an event, and return whether it was set.

    Before Python 3.12, `asyncio.wait_for` may swallow a cancellation that arrives together with the event.
    """
    over = False

    def end() -> None:
        nonlocal over
        over = True
        event.set()

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        await event.wait()
    finally:
        timer.cancel()
    if over:
        event.clear()
    return not over


log = logging.getLogger(__name__)

_FLOOR = 0.1
_CEILING = 20.0
_START = 5.0  # no limit is published for the calls about processing jobs: a low number is a safe start
_BURST = 2.0
_MEASURED_SECONDS = 5.0
_CAREFUL_SECONDS = 60.0
_GROWTH, _CAREFUL_GROWTH = 0.2, 0.02  # calls/s, added after each success; the latter for a while after a throttle
_QUIET_SECONDS = 3600.0  # a throttle is logged again if the last one was longer ago


class Priority(IntEnum):
    """The order in which calls get permits when these are scarce."""

    STATUS = 0
    """Calls that find out whether a job has ended, or stop it."""
    LOGS = 1
    RECONCILE = 2
    """Calls that make sure that nothing was missed."""


class Permits:
    """A rate limiter with an adaptive rate, which grows with each success and falls to the accepted rate at a throttle.

    Waiters with a higher priority go first. While a block of `urgent()` runs, only status calls get permits, so that no
    others come between the consecutive pages of a listing.
    """

    def __init__(
        self,
        *,
        rate: float = _START,
        ceiling: float = _CEILING,
        burst: float = _BURST,
        name: str = "AWS",
    ) -> None:
        """Set the initial and the maximum rate, in calls per second, and how many calls may go at once after a pause.

        `name` is the service's name in the log.
        """
        self.rate = rate
        self._ceiling = ceiling
        self._burst = burst
        self._name = name
        self._due = now()  # the theoretical arrival time of the generic cell rate algorithm
        self._accepted: deque[float] = deque()
        self._throttled_at: float | None = None
        self._urgent = 0
        self._order = 0
        self._waiters: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_scarce(self) -> bool:
        """Whether calls were throttled recently."""
        return self._throttled_at is not None and now() - self._throttled_at < _CAREFUL_SECONDS

    async def acquire(self, priority: Priority = Priority.STATUS) -> None:
        """Wait for a permit."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiters, (priority, self._order, waiter))
        self._grant()
        await waiter

    def used(self) -> None:
        """Count the interval to the next call from now, because the call of the last permit was delayed."""
        self._due = max(self._due, now() + 1 / self.rate)

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Let only status calls go while the block runs."""
        self._urgent += 1
        try:
            yield
        finally:
            self._urgent -= 1
            self._grant()

    def succeeded(self) -> None:
        """Record that a call wasn't throttled."""
        moment = now()
        self._accepted.append(moment)
        self._forget(moment)
        self.rate = min(self._ceiling, self.rate + (_CAREFUL_GROWTH if self.is_scarce else _GROWTH))

    def throttled(self) -> None:
        """Record that a call was throttled."""
        moment = now()
        since = math.inf if self._throttled_at is None else moment - self._throttled_at
        if since >= 1 / self.rate:  # throttles come in bursts, and a burst counts once
            self._forget(moment)
            accepted = len(self._accepted) / _MEASURED_SECONDS
            self.rate = max(_FLOOR, min(max(accepted, self.rate * 0.6), self.rate * 0.9))
        self._throttled_at = moment
        self._due = max(self._due, moment) + jittered(1 / self.rate, low=0.0, high=1.0)
        if since > _QUIET_SECONDS:
            log.warning("%s throttles calls: continuing at %.1f calls per second.", self._name, self.rate)

    def _forget(self, moment: float) -> None:
        while self._accepted and self._accepted[0] < moment - _MEASURED_SECONDS:
            self._accepted.popleft()

    def _grant(self) -> None:
        """Release the waiters that are due, and set a timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while waiter := self._next():
            moment = now()
            early = self._due - moment - self._burst / self.rate
            if early > 0:
                self._timer = asyncio.get_running_loop().call_later(early, self._grant)
                return
            heapq.heappop(self._waiters)
            self._due = max(self._due, moment) + 1 / self.rate
            waiter.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        while self._waiters and self._waiters[0][2].done():  # cancelled
            heapq.heappop(self._waiters)
        if not self._waiters or (self._urgent and self._waiters[0][0] is not Priority.STATUS):
            return None
        return self._waiters[0][2]


_LOG_CALLS_A_SECOND = 4.2
"""With calls one after the other, no second has more than five. CloudWatch's limit is 5 FilterLogEvents per second:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""
_RENEWAL_SECONDS = 60.0
_CONNECTION = "the connection"
_CALL_SECONDS = 30.0
"""The time limit for a whole call, in seconds; a socket's time-out starts over with each byte."""
_SLOW_SECONDS = 2.5
_CHECKED_BY_READERS = frozenset({"ListProcessingJobs", "FilterLogEvents"})
"""Calls whose readers check each job or event, so that one that can't be read doesn't make the whole page fail."""


_T = TypeVar("_T")


async def past_throttles(
    call: Callable[[], Awaitable[_T]], on_error: Callable[[TransientError], None] = lambda _: None
) -> _T:
    """Repeat a call until it isn't throttled; the rate limiter slows it down.

    Args:
        call: Makes the call, with a permit.
        on_error: Called with each transient error, including throttles.

    Raises:
        TransientError: A transient error other than a throttle.
    """
    while True:
        try:
            return await call()
        except TransientError as error:
            on_error(error)
            if not is_throttle(error.code):
                raise


class AwsCalls:
    """The calls of one connection in one event loop.

    A call that is denied is tried again with new clients from the present connection, because credentials may be
    rotated while jobs run.
    """

    def __init__(
        self,
        connect: Callable[[], MakeClient],
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        *,
        permits: Permits | None = None,
    ) -> None:
        """Set the function that connects, which may block and runs in a thread, and the one that runs it there."""
        self._connect = connect
        self._in_thread = in_thread
        self.permits = permits or Permits(name="SageMaker")
        self._log_permits = Permits(
            rate=_LOG_CALLS_A_SECOND, ceiling=_LOG_CALLS_A_SECOND, burst=0, name="CloudWatch Logs"
        )
        self._log_turn = asyncio.Lock()
        self._made: dict[str, asyncio.Future[Any]] = {}
        self._making: set[asyncio.Future[Any]] = set()
        self._connected_at = 0.0
        self._running: set[asyncio.Future[Any]] = set()

    async def prepare(self) -> None:
        """Create the client that will be needed first."""
        await self._client("sagemaker")

    async def sagemaker(
        self,
        method: str,
        subject: str,
        request: Mapping[str, Any],
        *,
        priority: Priority = Priority.STATUS,
        on_slow: Callable[[], None] | None = None,
    ) -> Mapping[str, Any]:
        """Call SageMaker.

        Args:
            method: The client's method, such as `describe_processing_job`.
            subject: What the call is about, for errors.
            request: The call's parameters.
            priority: The call's priority.
            on_slow: Called if the response takes long, counted from when the call got its permit.

        Raises:
            TransientError: The same call may work later; also for a response that is unreadable or incomplete in time.
            ServiceError: The same call won't work later.
        """
        await self.permits.acquire(priority)
        try:
            answer = await self._renewed_if_denied("sagemaker", method, subject, request, on_slow)
        except ServiceError as error:
            if is_throttle(error.code):
                self.permits.throttled()
            raise
        self.permits.succeeded()
        return answer

    async def logs(self, method: str, subject: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call CloudWatch Logs; the parameters and errors are those of `sagemaker`, whose calls have priority."""
        async with self._log_turn:  # one after the other, so that delayed calls don't go all at once
            await self._log_permits.acquire()
            await self.permits.acquire(Priority.LOGS)
            self._log_permits.used()
        try:
            answer = await self._renewed_if_denied("logs", method, subject, request)
        except ServiceError as error:
            if is_throttle(error.code):
                self._log_permits.throttled()
            raise
        self._log_permits.succeeded()
        return answer

    async def _renewed_if_denied(
        self,
        service: str,
        method: str,
        subject: str,
        request: Mapping[str, Any],
        on_slow: Callable[[], None] | None = None,
    ) -> Mapping[str, Any]:
        client = await self._client(service)
        connected_at = self._connected_at
        try:
            return await self._call(client, method, subject, request, on_slow)
        except AccessDeniedError:
            if connected_at == self._connected_at:  # otherwise another call has renewed the clients meanwhile
                if now() - connected_at < _RENEWAL_SECONDS:
                    raise
                self._made = {}
            return await self._call(await self._client(service), method, subject, request, on_slow)

    async def _call(
        self,
        client: Any,
        method: str,
        subject: str,
        request: Mapping[str, Any],
        on_slow: Callable[[], None] | None,
    ) -> Mapping[str, Any]:
        operation = client.meta.method_to_api_mapping[method]

        def call() -> Mapping[str, Any]:
            with aws_call(operation, subject):
                answer: Mapping[str, Any] = getattr(client, method)(**request)
            with answer_read(operation, subject):
                return answer if operation in _CHECKED_BY_READERS else readable(client, operation, answer)

        running = asyncio.ensure_future(self._in_thread(call))
        self._running.add(running)  # the event loop itself doesn't keep a reference
        running.add_done_callback(self._note_done)
        timer = None if on_slow is None else asyncio.get_running_loop().call_later(_SLOW_SECONDS, on_slow)
        try:
            await asyncio.wait({running}, timeout=_CALL_SECONDS)
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait({running}, timeout=_CALL_SECONDS)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if not running.done():  # its thread is blocked until the connection ends; another takes its place
            message = (
                f"{operation} for {subject} was not answered in full within {_CALL_SECONDS:.0f} s. It may work later."
            )
            raise TransientError(message, operation=operation, code="CallTimeout")
        answer: Mapping[str, Any] = running.result()
        return answer

    def _note_done(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # retrieved so that asyncio doesn't log it: nobody waits for an abandoned call

    async def close(self) -> None:
        """Drop the clients; wait for those that are being created, since threads can't be interrupted."""
        self._made = {}
        for future in self._making:
            future.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def _client(self, service: str) -> Any:
        connected = await self._once(_CONNECTION, self._connect)
        return await self._once(service, lambda: connected(service))

    async def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the result of `make`, called once for all concurrent callers; after a failure, the next retries."""
        if name not in self._made:
            if name == _CONNECTION:
                self._connected_at = now()
            self._made[name] = making = asyncio.ensure_future(self._in_thread(make))
            self._making.add(making)
            making.add_done_callback(self._making.discard)
        future = self._made[name]
        try:
            return await asyncio.shield(future)  # one waiter's cancellation must not affect the others
        except Exception:
            if self._made.get(name) is future:
                del self._made[name]
            raise
