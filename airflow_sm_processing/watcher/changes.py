"""Which jobs changed since the last look: one call for each 100 of them, however many are watched."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from airflow_sm_processing.processing.status import JobStatus
from airflow_sm_processing.watcher.listing import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from airflow_sm_processing.watcher.listing import Page
    from airflow_sm_processing.watcher.questions import Questions
    from airflow_sm_processing.watcher.watches import Watches

__all__ = ["Changes"]

_OVERLAP, _LONGEST_OVERLAP = 2.0, 60.0
_FILLED = 80  # of the 100 jobs of a page that has to be asked for anyway, so many may be of a longer overlap
_REMEMBERED = 20_000
_CLOCK_SKEW = 60.0  # between the machine that says since when, and this one
_TERMINAL = tuple(status.value for status in JobStatus if status.is_terminal)


class Changes:
    """Lists changed jobs from where the last look began, less an overlap for those that the listing shows late.

    It remembers what it saw, so that a watch which begins later than its job's end costs no call of its own.
    """

    def __init__(self, questions: Questions, watches: Watches) -> None:
        self._questions = questions
        self._watches = watches
        self._began: float | None = None
        self._looked_until: float | None = None
        self._looks: deque[tuple[float, int]] = deque(maxlen=int(_LONGEST_OVERLAP))
        self._known_since: float | None = None
        self._remembered: dict[str, str] = {}
        self._new = 0

    def begin_at(self, moment: float | None) -> None:
        """Note when a look began that showed all watched jobs in another way, by the service's clock."""
        self._began = moment
        self._looks.clear()
        self.forget()

    def began_by(self, moment: float | None) -> None:
        """Note when a first look began, by the service's clock; what was caught up with stays known."""
        if self._began is None:
            self._began = moment

    def forget(self) -> None:
        """Note that changes may have been missed."""
        self._known_since = None
        self._remembered = {}

    def remember(self, statuses: Mapping[str, str]) -> None:
        """Take what a listing of jobs in progress has shown: those that begin to be watched later cost no call.

        What is known already is newer or the same.
        """
        self._make_room()
        for job_name, status in statuses.items():
            self._remembered.setdefault(job_name, status)

    def doubt(self, page: Page) -> None:
        """Forget the jobs of a page of which it says nothing that can be read, and have them looked at."""
        for job_name in page.unreadable:
            self._remembered.pop(job_name, None)
            self._watches.doubt(job_name)

    async def look(self, *, max_pages: int, hurry: bool) -> bool:
        """List what changed.

        Args:
            max_pages: Give up after these.
            hurry: Whether the account gives hardly enough calls. Then nothing is listed twice: neither an overlap, for
                the sweep finds what comes late, nor what changes meanwhile.

        Returns:
            Whether all of it was listed; False if there was no last look.
        """
        if self._began is None:
            return False
        self._new = 0
        after, before = self._began - self._overlap(), None
        if hurry and (until := self._questions.server_now()) is not None:
            before = float(int(until))
            if self._looked_until == self._began:  # else the last look may have missed what came while it looked
                after = self._began
            if before <= after:  # within one second, as the wire has it: the next look lists it
                return True
        listing = self._questions.pages(modified_after=after, modified_before=before)
        if await self._list(listing, max_pages) is None:
            return False
        self._looks.appendleft((self._began, self._new))
        self._began, self._looked_until = before or self._questions.answered_at, before
        return True

    def _overlap(self) -> float:
        """Give the seconds back to where what was seen fits the page that has to be asked for anyway."""
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
        """List what has ended since then, by this machine's clock, and tell whether all of it was listed."""
        remembered, pages_left = self._remembered, max_pages
        after = since + self._questions.clock_ahead() - _CLOCK_SKEW
        for status in _TERMINAL:
            count = await self._list(self._questions.pages(modified_after=after, status=status), pages_left)
            if count is None:
                return False
            pages_left -= count // PAGE
        if after > since + self._questions.clock_ahead() - _CLOCK_SKEW / 2:  # the answers told how wrong our clock is
            return await self.catch_up(since, max_pages=max_pages)
        if self._remembered is remembered:  # nothing was forgotten meanwhile
            self._known_since = after
        return True

    def knows(self, job_name: str, since: float | None) -> bool:
        """Tell whether a job's end can't have been missed, and tell its waiters if it was seen."""
        status = self._remembered.get(job_name)
        if status is not None:
            self._watches.shown(job_name, status)
            return True
        if since is None or self._known_since is None:
            return False
        return since + self._questions.clock_ahead() >= self._known_since

    async def _list(self, listing: AsyncIterator[Page], max_pages: int) -> int | None:
        """Hand out what a listing shows; give the number of jobs, or None if there were more pages."""
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
