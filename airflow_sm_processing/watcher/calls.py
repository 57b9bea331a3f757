"""AWS calls from an event loop: in threads, each after a permit, each tried once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import AccessDeniedError, ServiceError, TransientError
from airflow_sm_processing.processing.answers import readable
from airflow_sm_processing.processing.aws_errors import answer_read, aws_call, is_throttle
from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.permits import Permits, Priority

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    MakeClient = Callable[[str], Any]
    """Makes a client of a service, such as `sagemaker`, that tries each call once."""

__all__ = ["AwsCalls"]

_LOG_CALLS_A_SECOND = 4.2
"""One after the other: no second has more than five. CloudWatch allows an account 5 FilterLogEvents a second:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""
_RENEWAL_SECONDS = 60.0
_CONNECTION = "the connection"
_CALL_SECONDS = 30.0
"""For a whole call: a time-out of the socket's begins anew with each byte."""
_SLOW_SECONDS = 2.5
_CHECKED_BY_READERS = frozenset({"ListProcessingJobs", "FilterLogEvents"})
"""Of one that can't be read among many, the others are: a summary's job, or an event, isn't the page's fault."""


class AwsCalls:
    """The calls of one connection in one event loop.

    A call that is denied gets new clients, made from the connection as it is then, and a second try: credentials are
    rotated while jobs run.
    """

    def __init__(
        self,
        connect: Callable[[], MakeClient],
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        *,
        permits: Permits | None = None,
    ) -> None:
        """Take how to connect, which may block and runs in a thread, and how to run a function in a thread."""
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
        """Make the client that will be needed first."""
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
            subject: What an error says that the call was about.
            request: The call's parameters.
            priority: Who goes first.
            on_slow: Is called if the answer is long in coming, once the call was let through.

        Raises:
            TransientError: The same call may work later: so may one whose answer can't be read, or isn't whole in time.
            ServiceError: It won't.
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
        """Call CloudWatch Logs; takes and raises what `sagemaker` does, and lets it go first."""
        async with self._log_turn:  # one after the other, lest those that were held up go together
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
            if connected_at == self._connected_at:  # otherwise another call has renewed them meanwhile
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
        self._running.add(running)  # the loop itself keeps none, and a call may be left behind
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
        if not running.done():  # its thread is busy with it until the connection ends; another takes its place
            message = (
                f"{operation} for {subject} was not answered in full within {_CALL_SECONDS:.0f} s. It may work later."
            )
            raise TransientError(message, operation=operation, code="CallTimeout")
        answer: Mapping[str, Any] = running.result()
        return answer

    def _note_done(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # it is known to whoever waits for it; nobody does for a call that was left behind

    async def close(self) -> None:
        """Forget the clients; those being made are waited for, since threads can't be interrupted."""
        self._made = {}
        for future in self._making:
            future.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def _client(self, service: str) -> Any:
        connected = await self._once(_CONNECTION, self._connect)
        return await self._once(service, lambda: connected(service))

    async def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """Give what `make` makes, made once for all who ask; a failure is theirs, and the next to ask tries anew."""
        if name not in self._made:
            if name == _CONNECTION:
                self._connected_at = now()
            self._made[name] = making = asyncio.ensure_future(self._in_thread(make))
            self._making.add(making)
            making.add_done_callback(self._making.discard)
        future = self._made[name]
        try:
            return await asyncio.shield(future)  # one waiter's cancellation isn't the others'
        except Exception:
            if self._made.get(name) is future:
                del self._made[name]
            raise
