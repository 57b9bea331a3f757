"""Queue tasks whose jobs were refused for lack of capacity or quota: when to try again, and which task is next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError
from airflow_sm_processing.processing.aws_calls import answer_read, jittered
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.watcher.client import Priority, now
from airflow_sm_processing.watcher.queries import checked_page, is_terminal, pages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from airflow_sm_processing.watcher.client import AwsCalls


__all__ = ["CapacityQueue", "EndedJobs"]


_CLOCK_SKEW = 10.0  # seconds between the clocks of the worker that was refused and of the service
_MOST_PAGES = 3
_MOST_DESCRIBED = 10


class EndedJobs:
    """Finds the jobs of a queue that have ended, whatever started them, with a call per poll and one per ended job.

    Args:
        calls: The connection's calls.
        queue_key: The instance type of the jobs, or several, separated by commas.
    """

    def __init__(self, calls: AwsCalls, queue_key: str) -> None:
        self._calls = calls
        self._types = frozenset(queue_key.split(","))
        self._seen: set[str] = set()

    def note(self, job_name: str) -> None:
        """Record that a job's end is known from elsewhere, and has already given a turn."""
        self._seen.add(job_name)

    async def since(self, moment: float) -> int | None:
        """Return the number of jobs that have ended and weren't counted before; None if it can't be determined.

        Args:
            moment: The time of the last refusal, in seconds since the epoch.
        """
        try:
            listed = await self._listed(moment - _CLOCK_SKEW)
            if listed is None:
                return None
            news = listed - self._seen
            self._seen &= listed  # the others ended before the last refusal, and won't be listed any more
            if len(news) > _MOST_DESCRIBED:
                return None
            return sum([await self._is_in_queue(job_name) for job_name in sorted(news)])
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
        subject = "jobs that may have freed capacity"
        answer = await self._calls.sagemaker("list_processing_jobs", subject, request, priority=Priority.RECONCILE)
        with answer_read("ListProcessingJobs", subject):
            return checked_page(answer)

    async def _is_in_queue(self, job_name: str) -> bool:
        request = {"ProcessingJobName": job_name}
        try:
            answer = await self._calls.sagemaker(
                "describe_processing_job", job_name, request, priority=Priority.RECONCILE
            )
            description = JobDescription.from_response(answer)
        except JobNotFoundError:
            return False
        self._seen.add(job_name)
        return description.instance_type is None or description.instance_type in self._types


log = logging.getLogger(__name__)

_FIRST_PAUSE, _SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 0.5, 60.0
_BETWEEN_LOOKS = 10.0
_LONGEST_WITHOUT_A_TRY = 300.0  # seconds; a quota may have been raised
_REMEMBERED = 100
_HEARD_WITHIN = 30.0  # seconds within which a task that got a turn has tried, and has come back if it was refused


class CapacityQueue:
    """Lets refused tasks try again one after the other, the longest waiting first.

    AWS doesn't notify anybody when there is capacity. So a turn is given when a job has ended, and also after a pause,
    as a guess. The pause doubles with each try that is refused and shrinks with each job that is created: so it is
    short where the account allows it, and long where a quota is used up for hours.

    If a quota was the reason for all refusals, the queue polls for ended jobs instead of pausing, and gives a turn for
    each. It then guesses only if polling seems to miss something, because a guess was right or a task was refused
    although a job had ended, or if no task has tried for five minutes.

    Args:
        ended: Finds jobs that have ended; without it, all turns after a pause are guesses.
    """

    def __init__(self, ended: EndedJobs | None = None) -> None:
        self._ended = ended
        self._refused_at: float | None = None
        self._was_guess = False
        self._may_guess = False
        self._looked_at: float | None = None
        self._looking: asyncio.Task[None] | None = None
        self._waiting: list[tuple[float, int, asyncio.Future[None], bool]] = []
        """A heap of the waiters: the first refusal's time, the arrival number, the turn, and whether it was a quota."""
        self._arrivals = itertools.count()
        self._pause = _FIRST_PAUSE
        self._last_turn: float | None = None
        self._unheard: deque[float] = deque(maxlen=_REMEMBERED)
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(not turn.done() for _, _, turn, _ in self._waiting)

    async def wait(self, since: float, refused_at: float | None = None) -> None:
        """Wait for a turn.

        Args:
            since: When this task was first refused, in seconds since the epoch; the longest waiting task is next.
            refused_at: When it was last refused, in seconds since the epoch, if the reason was a quota.
        """
        if refused_at is not None:  # the latest refusal of any task counts
            self._refused_at = max(self._refused_at or 0.0, refused_at)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (since, next(self._arrivals), turn, refused_at is not None))
        self._set_timer()
        try:
            await turn
        finally:
            if turn.cancelled():
                self._set_timer()

    def refused(self) -> None:
        """Record that a task tried in its turn and was refused."""
        self._unheard.clear()
        self._may_guess = not self._was_guess  # capacity may become free a moment after the job's end
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def made(self) -> None:
        """Record that a job was created."""
        self._may_guess = self._was_guess
        self._pause = max(self._pause / 2, _SHORTEST_PAUSE)
        self._set_timer()

    def room(self, job_name: str = "") -> None:
        """Record that a job has ended, which frees capacity for another."""
        if self._give_turn() and self._ended is not None:
            self._ended.note(job_name)

    def close(self) -> None:
        """Stop giving turns."""
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    @property
    def _looks(self) -> bool:
        """Whether to poll for ended jobs rather than guess."""
        if self._ended is None or self._refused_at is None or self._may_guess:
            return False
        return all(is_of_quota for _, _, turn, is_of_quota in self._waiting if not turn.done())

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not len(self) or self._looking is not None:
            return
        began = now() if self._last_turn is None else self._last_turn
        pause = jittered(self._pause, low=0.8, high=1.2)
        if self._looks:
            self._looked_at = now() if self._looked_at is None else self._looked_at
            began, pause = self._looked_at, jittered(_BETWEEN_LOOKS, low=0.8, high=1.0)
        self._timer = asyncio.get_running_loop().call_later(max(0.0, began + pause - now()), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._unheard and self._unheard[0] < now() - _HEARD_WITHIN:
            self._unheard.popleft()
            self._pause = max(self._pause / 2, _SHORTEST_PAUSE)
            self._may_guess = self._was_guess
        if self._looks:
            # In a separate context, because its log lines don't belong to one task.
            self._looking = Context().run(asyncio.ensure_future, self._look())
            return
        self._guess()
        self._set_timer()

    def _guess(self) -> None:
        self._may_guess = False
        self._give_turn(is_guess=True)

    async def _look(self) -> None:
        """Schedule a turn for each job that has ended; if their number isn't known, guess."""
        self._looked_at = now()
        count = await self._count()
        self._looking = None
        if count is None or (not count and self._is_long_without_a_try):
            self._guess()
        for _ in range(count or 0):
            self._give_turn()
        self._set_timer()

    async def _count(self) -> int | None:
        if self._ended is None or self._refused_at is None:
            return None
        try:
            return await self._ended.since(self._refused_at)
        except Exception as error:  # noqa: BLE001  # whatever it is, waiting tasks must get their turns
            log.warning("Could not read which jobs have ended, so waiting tasks just retry: %r", error)
            return None

    @property
    def _is_long_without_a_try(self) -> bool:
        if self._last_turn is None:
            self._last_turn = now()
        return now() - self._last_turn >= _LONGEST_WITHOUT_A_TRY

    def _give_turn(self, *, is_guess: bool = False) -> bool:
        while self._waiting:
            _, _, turn, _ = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                self._last_turn = now()
                self._was_guess = is_guess
                self._unheard.append(self._last_turn)
                return True
        return False
