"""Which jobs changed since the last look: one call for each 100 of them, however many are watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.processing.status import JobStatus
from airflow_sm_processing.watcher.listing import is_terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_sm_processing.watcher.listing import Page
    from airflow_sm_processing.watcher.questions import Questions
    from airflow_sm_processing.watcher.watches import Watches

__all__ = ["Changes"]

_OVERLAP, _LONGEST_OVERLAP = 3.0, 60.0
_PAGE, _FILL = 100, 0.8  # of a page that has to be asked for anyway, so much is used for a longer overlap
_REMEMBERED = 20_000
_TERMINAL = tuple(status.value for status in JobStatus if status.is_terminal)


class Changes:
    """Lists changed jobs from where the last look began, less an overlap for those that the listing shows late.

    It remembers what it saw, so that a watch which begins later than its job's end costs no call of its own.
    """

    def __init__(self, questions: Questions, watches: Watches) -> None:
        self._questions = questions
        self._watches = watches
        self._began: float | None = None
        self._overlap = _OVERLAP
        self._known_since: float | None = None
        self._remembered: dict[str, str] = {}

    def begin_at(self, moment: float | None) -> None:
        """Note when a look began that showed all watched jobs in another way, by the service's clock."""
        self._began = moment
        self.forget()

    def began_by(self, moment: float | None) -> None:
        """Note when a first look began, by the service's clock; what was caught up with stays known."""
        if self._began is None:
            self._began = moment

    def forget(self) -> None:
        """Note that changes may have been missed."""
        self._known_since = None
        self._remembered = {}

    async def look(self, *, max_pages: int, hurry: bool) -> bool:
        """List what changed.

        Args:
            max_pages: Give up after these.
            hurry: Whether the account gives hardly enough calls: the overlap is left to the sweep.

        Returns:
            Whether all of it was listed; False if there was no last look.
        """
        if self._began is None:
            return False
        overlap = 0.0 if hurry else self._overlap
        count = await self._list(self._questions.pages(modified_after=self._began - overlap), max_pages)
        answered_at = self._questions.answered_at
        if count is None or answered_at is None:
            return False
        window = max(answered_at - self._began, 1.0)
        self._overlap = _longest_free_overlap(count / (window + overlap), window)
        self._began = answered_at
        return True

    async def catch_up(self, since: float, *, max_pages: int) -> bool:
        """List what has ended since then, and tell whether all of it was listed."""
        for status in _TERMINAL:
            count = await self._list(self._questions.pages(modified_after=since, status=status), max_pages)
            if count is None:
                return False
            max_pages -= count // _PAGE
        self._known_since = since
        return True

    def knows(self, job_name: str, since: float | None) -> bool:
        """Tell whether a job's end can't have been missed, and tell its waiters if it was seen."""
        status = self._remembered.get(job_name)
        if status is not None:
            self._watches.seen(job_name, has_ended=is_terminal(status))
            return True
        return since is not None and self._known_since is not None and since >= self._known_since

    async def _list(self, listing: AsyncIterator[Page], max_pages: int) -> int | None:
        """Hand out what a listing shows; give the number of jobs, or None if there were more pages."""
        count = 0
        async for page in listing:
            self._note(page.statuses)
            count += len(page.statuses)
            max_pages -= 1
            if page.is_last:
                return count
            if max_pages <= 0:
                return None
        return count

    def _note(self, statuses: dict[str, str]) -> None:
        if len(self._remembered) > _REMEMBERED:
            self.forget()
        self._remembered.update(statuses)
        for job_name, status in statuses.items():
            self._watches.seen(job_name, has_ended=is_terminal(status))


def _longest_free_overlap(changes_a_second: float, window: float) -> float:
    """Give the overlap that makes no page more of what the window has anyway."""
    if changes_a_second <= 0:
        return _LONGEST_OVERLAP
    free = (_PAGE * _FILL - changes_a_second * window) / changes_a_second
    return min(max(free, _OVERLAP), _LONGEST_OVERLAP)
