"""The rule of exactly one job, as users may rely on it, independently of its implementation.

A task instance's jobs are numbered from 1. A generation is the time between two clears of the task instance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Due", "Rule"]

ENDED = frozenset({"Completed", "Failed", "Stopped"})
TAKEN = frozenset({"InProgress", "Completed"})


class Due(NamedTuple):
    """The outcome of an undisturbed try."""

    number: int
    is_new: bool


@dataclass
class Job:
    """One of the task instance's jobs."""

    generation: int
    status: str = "InProgress"


@dataclass
class Rule:
    """What there is, and what is allowed."""

    generation: int = 1
    jobs: list[Job] = field(default_factory=list)

    def clear(self) -> None:
        """Begin another generation: a user wants a new job, whatever the last one's outcome."""
        self.generation += 1

    def due(self) -> Due:
        """Return the outcome of a try that begins now."""
        last = self.jobs[-1] if self.jobs else None
        if last is not None and last.generation == self.generation and last.status in TAKEN:
            return Due(len(self.jobs), is_new=False)
        return Due(len(self.jobs) + 1, is_new=True)

    def make(self, number: int, generation: int) -> None:
        """Create a job, for a try of that generation."""
        assert number == len(self.jobs) + 1, f"job {number} was made after {len(self.jobs)} jobs"
        running = [n for n, job in enumerate(self.jobs, 1) if job.status not in ENDED]
        assert not running, f"job {number} was made while {running} went on"
        done = [n for n, job in enumerate(self.jobs, 1) if job.generation == generation and job.status == "Completed"]
        assert not done, f"job {number} was made though {done} of the same life had completed"
        self.jobs.append(Job(generation))

    def take(self, number: int, generation: int) -> None:
        """Wait for a job and pass its outputs on, in a try of that generation."""
        assert self.jobs[number - 1].generation == generation, (
            f"life {generation} took job {number} of life {self.jobs[number - 1].generation}"
        )

    def stop(self, number: int, generation: int) -> None:
        """Stop a running job, in a try of that generation."""
        job = self.jobs[number - 1]
        assert job.generation < generation, f"life {generation} stopped job {number} of life {job.generation}"
        job.status = "Stopping"
