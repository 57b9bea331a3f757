"""A log stream that is followed: where to read on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_sm_processing.processing.log_lines import host_of
from airflow_sm_processing.processing.log_memory import LineMemory, ReplayMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_sm_processing.processing.log_position import StreamPosition
    from airflow_sm_processing.watcher.log_followed import Followed

__all__ = ["FollowedStream"]

LATE_MS = 2500
"""How late a line may come, after later lines of its own stream, and still be read soon."""
_RATE_WEIGHT = 0.5  # of the last reading, beside those before


@dataclass(eq=False)
class FollowedStream:
    """One stream of one followed job; times of lines are CloudWatch's, in milliseconds since the epoch."""

    name: str
    job: Followed
    memory: LineMemory | ReplayMemory
    host: str
    reached: int | None
    """The time that the last reading came to, if it didn't come to the end."""
    is_new: bool = True
    """Whether nothing has been read of it yet."""
    read_at: float = float("-inf")
    """When the last reading that came to the end began, in the event loop's time."""
    rate: float = 0.0
    """Roughly how much is written in a second, in lines of at most 100 characters."""
    is_replaying: bool = False
    """Whether spans of it are being read that were handed out before."""
    _unrated: float = 0.0

    @classmethod
    def starting_at(cls, start: StreamPosition, *, name: str, job: Followed) -> FollowedStream:
        """Give a stream of which nothing after `start` has been read."""
        return cls(name, job, LineMemory(start), host_of(name), start.since)

    @classmethod
    def replaying(
        cls,
        start: StreamPosition,
        spans: Sequence[tuple[StreamPosition, StreamPosition]],
        *,
        name: str,
        job: Followed,
    ) -> FollowedStream:
        """Return a stream of which nothing after `start` has been read, and that hands out these spans again."""
        memory = ReplayMemory(start, spans)
        return cls(name, job, memory, host_of(name), memory.since, is_replaying=True)

    @property
    def caught_up(self) -> bool:
        """Whether the last reading came to the stream's end."""
        return self.reached is None

    @property
    def backlog(self) -> int:
        """What only streams may share that are read together: one with a backlog isn't read again for a new one."""
        if self.reached is None:
            return 0
        return -1 if self.is_new else -self.reached

    @property
    def must_read_from(self) -> int:
        """The time after which a reading may not begin."""
        return max(self.memory.since, self.memory.newest - LATE_MS) if self.reached is None else self.reached

    @property
    def may_read_from(self) -> int:
        """The time before which a reading finds nothing new."""
        return self.memory.since if self.reached is None else self.reached

    def fell_behind(self, reached: int) -> None:
        """Note that a reading came to that time only."""
        self.reached = reached
        self.is_new = False

    def left_the_newest(self) -> None:
        """Note that the newest lines were left: the next reading begins before them, as after an end."""
        self.reached = None
        self.is_new = self.is_replaying = False

    def count(self, weight: float) -> None:
        """Note what was read for the first time."""
        self._unrated += weight

    def reached_the_end(self, began: float) -> None:
        """Note that a reading that began at that time has come to the end."""
        if self.caught_up:
            rate = self._unrated / max(began - self.read_at, 1.0)
            self.rate += _RATE_WEIGHT * (rate - self.rate)
        self._unrated = 0.0
        self.reached = None
        self.is_new = self.is_replaying = False
        self.read_at = began
