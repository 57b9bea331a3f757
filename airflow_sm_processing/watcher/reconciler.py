"""Reconcile watched jobs: find which have changed since the last listing, and whether an end was missed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import AccessDeniedError, MalformedResponseError, ProcessingError, ServiceError
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.watcher.client import Priority, now, set_within
from airflow_sm_processing.watcher.queries import PAGE, named_alike

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from airflow_sm_processing.watcher.client import Permits
    from airflow_sm_processing.watcher.queries import JobQueries, Page
    from airflow_sm_processing.watcher.watches import Watch, Watches


__all__ = ["Changes", "Reconciler"]


_OVERLAP, _LONGEST_OVERLAP = 2.0, 60.0
_FILLED = 80  # jobs on the first page, of 100, that a longer overlap may use; that page has to be read anyway
_REMEMBERED = 20_000
_CLOCK_SKEW = 60.0  # seconds between the clocks of the machine that set a watch's `since`, and of this one
_TERMINAL = tuple(status.value for status in JobStatus if status.is_terminal)


class Changes:
    """Lists jobs that changed since the last listing began, with an overlap for those that listings show late.

    It remembers what it saw, so that a watch which begins after its job's end needs no extra call.
    """

    def __init__(self, questions: JobQueries, watches: Watches) -> None:
        self._questions = questions
        self._watches = watches
        self._began: float | None = None
        self._looked_until: float | None = None
        self._looks: deque[tuple[float, int]] = deque(maxlen=int(_LONGEST_OVERLAP))
        self._known_since: float | None = None
        self._remembered: dict[str, str] = {}
        self._new = 0

    def begin_at(self, moment: float | None) -> None:
        """Record when all watched jobs began to be checked in another way, by the service's clock."""
        self._began = moment
        self._looks.clear()
        self.forget()

    def began_by(self, moment: float | None) -> None:
        """Record when a first check began, by the service's clock; what `catch_up` found stays known."""
        if self._began is None:
            self._began = moment

    def forget(self) -> None:
        """Forget what was seen, because changes may have been missed."""
        self._known_since = None
        self._remembered = {}

    def remember(self, statuses: Mapping[str, str]) -> None:
        """Remember jobs in a listing of jobs in progress, so that later watches of them need no extra call.

        Jobs that are already known aren't changed, as their status is newer or the same.
        """
        self._make_room()
        for job_name, status in statuses.items():
            self._remembered.setdefault(job_name, status)

    def doubt(self, page: Page) -> None:
        """Forget the jobs whose status on a page can't be read, and have them described."""
        for job_name in page.unreadable:
            self._remembered.pop(job_name, None)
            self._watches.doubt(job_name)

    async def look(self, *, max_pages: int, hurry: bool) -> bool:
        """List what has changed.

        Args:
            max_pages: The maximum number of pages.
            hurry: Whether calls are scarce. Then nothing is listed twice: there is no overlap, since the reconciler
                finds late changes, and changes during the listing aren't listed.

        Returns:
            Whether all changes were listed; False if there was no earlier listing.
        """
        if self._began is None:
            return False
        self._new = 0
        after, before = self._began - self._overlap(), None
        if hurry and (until := self._questions.server_now()) is not None:
            before = float(int(until))
            if self._looked_until == self._began:  # otherwise the last listing may have missed changes during it
                after = self._began
            if before <= after:  # within one second, the API's resolution: the next listing shows it
                return True
        listing = self._questions.pages(modified_after=after, modified_before=before)
        if await self._list(listing, max_pages) is None:
            return False
        self._looks.appendleft((self._began, self._new))
        self._began, self._looked_until = before or self._questions.answered_at, before
        return True

    def _overlap(self) -> float:
        """Return the overlap in seconds, as long as its jobs fit on the page that has to be read anyway."""
        if self._began is None or not self._looks:
            return _OVERLAP
        count, start = self._looks[0][1], self._began
        for began, new in self._looks:
            count += new
            if count > _FILLED:
                break
            start = began
        return min(max(self._began - start, _OVERLAP), _LONGEST_OVERLAP)

    async def catch_up(self, since: float, *, max_pages: int) -> bool:
        """List jobs that have ended since then, by this machine's clock, and return whether all were listed."""
        remembered, pages_left = self._remembered, max_pages
        after = since + self._questions.clock_ahead() - _CLOCK_SKEW
        for status in _TERMINAL:
            count = await self._list(self._questions.pages(modified_after=after, status=status), pages_left)
            if count is None:
                return False
            pages_left -= count // PAGE
        if after > since + self._questions.clock_ahead() - _CLOCK_SKEW / 2:  # the responses showed our clock's error
            return await self.catch_up(since, max_pages=max_pages)
        if self._remembered is remembered:  # nothing was forgotten meanwhile
            self._known_since = after
        return True

    def knows(self, job_name: str, since: float | None) -> bool:
        """Return whether a job's end can't have been missed, and notify its waiters if it was seen."""
        status = self._remembered.get(job_name)
        if status is not None:
            self._watches.shown(job_name, status)
            return True
        if since is None or self._known_since is None:
            return False
        return since + self._questions.clock_ahead() >= self._known_since

    async def _list(self, listing: AsyncIterator[Page], max_pages: int) -> int | None:
        """Process the jobs of a listing; return their number, or None if there were more pages."""
        count = 0
        async for page in listing:
            self._note(page.statuses)
            self.doubt(page)
            count += len(page.statuses)
            max_pages -= 1
            if page.is_last:
                return count
            if max_pages <= 0:
                return None
        return count

    def _make_room(self) -> None:
        if len(self._remembered) > _REMEMBERED:
            self.forget()

    def _note(self, statuses: dict[str, str]) -> None:
        self._make_room()
        self._new += sum(self._remembered.get(job_name) != status for job_name, status in statuses.items())
        self._remembered.update(statuses)
        for job_name, status in statuses.items():
            if job_name in self._watches:
                self._watches.shown(job_name, status)


log = logging.getLogger(__name__)

_PERIOD = 60.0
_SHARE = 4.0  # when calls are scarce, the reconciler takes one of this many permits
_GATHER = 15.0  # seconds, so that jobs that begin to be watched one after the other are checked together
_SECONDS_A_CALL = 6.0  # the more pages a round has, the less often it is made
_MANY = 20  # from this many jobs on, it may be cheaper to list them by their names
_PAGES_ALIKE = 4  # pages of a listing by names, because often several hundred names share a prefix
_WORTH_A_PAGE = 5  # jobs; a page that shows fewer costs more than describing them
_MOST_BARREN = 2  # listings by names that weren't worth it, before the other jobs are described


class Reconciler:
    """Lists the jobs in progress, and checks the watched jobs that aren't among them.

    This finds jobs whose change the listing of changes never showed, or showed too late, and deleted ones, with one
    call per 100 jobs in progress, or one per watched job if that is less.
    """

    def __init__(self, questions: JobQueries, watches: Watches, changes: Changes, permits: Permits) -> None:
        self._questions = questions
        self._watches = watches
        self._changes = changes
        self._permits = permits
        self._soon = asyncio.Event()
        self._round_over = asyncio.Event()

    def soon(self) -> None:
        """Make the next round come soon, because there are watched jobs that no call has shown yet."""
        self._soon.set()

    def round_is_over(self) -> None:
        """Record that the watcher has listed the changes."""
        self._round_over.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        calls = 0
        while True:
            await self._pause(calls)
            self._soon.clear()
            try:
                calls = await self._reconciler()
            except ProcessingError as error:  # the watcher's rounds get the same error, and handle it
                log.debug("Reconciling the watched jobs was interrupted: %s", error)
                calls = 0
            except Exception:
                log.exception(
                    "Reconciling the watched jobs failed; the next round tries again."
                )  # go on with the next round, since nothing else would notice its absence
                calls = 0

    async def _pause(self, calls: int) -> None:
        """Wait for the next round, which comes sooner if fewer jobs are left to look for."""
        began = now()
        while now() - began < max(_PERIOD, min(calls, len(self._watches)) * _SECONDS_A_CALL):
            if await set_within(self._soon, _PERIOD / 6):
                await asyncio.sleep(_GATHER)
                return

    async def _reconciler(self) -> int:
        """Check the watched jobs that no call has shown for a while, and return the number of calls."""
        began = now()
        names = {watch.job_name for watch in self._watches if watch.looked_at and _is_stale(watch, began)}
        missing, calls = await self._missing(names, Priority.RECONCILE)
        return calls + await self._look_for(missing, began)

    async def look_at(self, job_names: Collection[str]) -> None:
        """Check these jobs now.

        Raises:
            AccessDeniedError: Listing isn't allowed; from then on, all jobs are described.
        """
        missing, _ = await self._missing(job_names, Priority.STATUS)
        await self.look_closer(missing)

    async def _missing(self, job_names: Collection[str], priority: Priority) -> tuple[list[str], int]:
        """Return the jobs that aren't listed as in progress, and the number of calls."""
        shown: set[str] = set()
        calls = 0
        if self._questions.may_list and len(job_names) > 1:
            try:
                async for page in self._questions.pages(priority=priority, status=JobStatus.IN_PROGRESS.value):
                    calls += 1
                    if self._permits.is_scarce and priority is Priority.RECONCILE:
                        await asyncio.sleep(_SHARE / self._permits.rate)
                    self._changes.remember(page.statuses)
                    shown.update(name for name in page.statuses if name in job_names)
                    if calls >= len(job_names):
                        break
            except MalformedResponseError as error:  # the jobs that it didn't show are checked in another way
                log.debug("The listing of jobs in progress was not finished: %s", error)
        for job_name in shown:
            self._watches.seen(job_name, has_ended=False)
        return [name for name in job_names if name not in shown], calls

    async def _look_for(self, missing: list[str], began: float) -> int:
        """Check the missing jobs that the round after the listing hasn't shown either: most have just ended."""
        if not missing:
            return 0
        self._round_over.clear()
        await self._round_over.wait()
        rest = [
            name
            for name in missing
            if any(watch.seen_at is None or watch.seen_at < began for watch in self._watches.of(name))
        ]
        return await self.look_closer(rest, priority=Priority.RECONCILE)

    async def look_closer(self, job_names: Collection[str], *, priority: Priority = Priority.STATUS) -> int:
        """Check jobs: if there are many, list those whose names share a prefix, and describe the rest.

        These listings also show jobs that have ended, and those that a listing of all jobs may leave out: if more jobs
        were created in the same second than fit on a page, the next page may begin after that second.

        Returns:
            The number of calls.
        """
        left, calls = set(job_names), 0
        if len(left) > _MANY and self._questions.may_list:
            try:
                left, calls = await self._list_alike(left, _PAGES_ALIKE * PAGE, priority)
            except AccessDeniedError as error:
                self._questions.note_denied(error)
            except ServiceError as error:
                log.debug("Jobs are described, for they can't be listed by their names: %s", error)
        await self._questions.describe(left, priority=priority)
        return calls + len(left)

    async def _list_alike(self, job_names: set[str], most: int, priority: Priority) -> tuple[set[str], int]:
        """List jobs by common prefixes; return those that no page showed, and the number of calls."""
        left, calls, barren = set(job_names), 0, 0
        for prefix, group in named_alike(job_names, most=most):
            if len(group) < _WORTH_A_PAGE or barren >= _MOST_BARREN:
                continue
            rest, calls_made = await self._list_named(prefix, group, priority)
            if len(rest) > _MANY and most > PAGE:
                rest, more = await self._list_alike(rest, PAGE, priority)
                calls_made += more
            barren += len(group) - len(rest) < _WORTH_A_PAGE
            calls += calls_made
            left -= group - rest
        return left, calls

    async def _list_named(self, prefix: str, job_names: set[str], priority: Priority) -> tuple[set[str], int]:
        """Read the pages of the names with that prefix, as long as they are useful."""
        left, calls = set(job_names), 0
        async for page in self._questions.pages(priority=priority, name_contains=prefix):
            calls += 1
            self._changes.remember(page.statuses)
            shown = left & page.statuses.keys()
            for job_name in shown:
                self._watches.shown(job_name, page.statuses[job_name])
            left -= shown
            if not left or len(shown) < _WORTH_A_PAGE:
                break
        return left, calls


def _is_stale(watch: Watch, moment: float) -> bool:
    return watch.seen_at is None or moment - watch.seen_at >= _PERIOD / 2
