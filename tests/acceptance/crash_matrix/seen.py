"""The outcome of a row: the expected values, and those that were seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

ENDED = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The end of a row."""

    calls: int
    """The number of CreateProcessingJob calls that reached the service, successful or not."""
    jobs: tuple[str, ...]
    """The status of each job that was made, in the order of making, when nothing changes any more."""
    state: str | None
    """The task's."""
    tries: int
    """The number of the task's last try."""
    names: str = ""
    """Which of the jobs the task's XComs name: `1` is the first."""
    result: str = ""
    """Which of the jobs wrote the result that the task's XComs name: another than `names` would be stale."""

    @property
    def left_running(self) -> int:
        """The number of jobs that weren't stopped and that no task waits for."""
        return sum(status not in ENDED for status in self.jobs)

    def differences(self, other: Seen) -> list[str]:
        """Return what is not as in the other."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return [f"{name}: {mine!r}, not {theirs!r}" for name, mine, theirs in pairs if mine != theirs]

    def __str__(self) -> str:
        left = f", {self.left_running} left running" if self.left_running else ""
        task = f"{self.state or 'no state'} at try {self.tries}"
        return f"{_counted(self.jobs)}{left}; {task}{self._handed_on()}"

    def _handed_on(self) -> str:
        if not self.result:
            return ""
        return f", result of job {self.result}" + ("" if self.result == self.names else f", as if of {self.names}")


def _counted(jobs: tuple[str, ...]) -> str:
    ended = Counter(status for status in jobs if status in ENDED)
    parts = [f"{count} {status}" if count > 1 else status for status, count in ended.items()]
    return f"{len(jobs)} job{'s' if len(jobs) != 1 else ''}" + (f" ({', '.join(parts)})" if parts else "")
