"""Which streams share a FilterLogEvents call: those that are read from about the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_sm_processing.watcher.log_stream import FollowedStream

__all__ = ["PAGE_WEIGHT", "Batch", "batches_of", "weight"]

PAGE_WEIGHT = 10_000
"""What a page holds: 10,000 events or 1 MB, so an event weighs one for each 100 characters begun."""
_REREAD_WEIGHT = 2000
"""What a batch may read again without need: a fifth of a page, for a fraction of a call's price."""
_LOWEST_RATE = 0.01


def weight(message: str) -> float:
    """Give an event's part of a page."""
    return 1 + len(message) // 100


@dataclass(frozen=True)
class Batch:
    """Streams that are read together."""

    streams: Sequence[FollowedStream]

    @property
    def names(self) -> list[str]:
        """The streams' names, each once: two may follow one job."""
        return list(dict.fromkeys(stream.name for stream in self.streams))

    @property
    def start(self) -> int:
        """The time to read from: as early as it costs next to nothing, for lines that come late."""
        must = min(stream.must_read_from for stream in self.streams)
        may = min(stream.may_read_from for stream in self.streams)
        rate = sum(stream.rate for stream in self.streams)
        return max(may, must - int(1000 * _REREAD_WEIGHT / max(rate, _LOWEST_RATE)))

    def __str__(self) -> str:
        first, others = self.streams[0].name, len(self.streams) - 1
        return f"{first} and {others} more" if others else first

    def reached_the_end(self, began: float) -> None:
        """Note that a reading that began at that time has come to the end."""
        for stream in self.streams:
            stream.reached_the_end(began)

    def left_the_newest(self) -> None:
        """Note that only the newest lines were left for the next reading."""
        for stream in self.streams:
            stream.left_the_newest()

    def fell_behind(self, reached: int) -> None:
        """Note that a reading came to that time, and not to the streams' end."""
        for stream in self.streams:
            stream.fell_behind(reached)

    def halves(self) -> tuple[Batch, Batch]:
        """Split in two."""
        middle = len(self.streams) // 2
        return Batch(self.streams[:middle]), Batch(self.streams[middle:])


def batches_of(streams: Iterable[FollowedStream], *, most: int) -> list[Batch]:
    """Put at most `most` streams into each batch, and busy ones not with those that are read from much earlier."""
    batches: list[Batch] = []
    batch: list[FollowedStream] = []
    rate = reread = 0.0
    for stream in sorted(streams, key=lambda stream: (stream.backlog, stream.must_read_from), reverse=True):
        if batch:
            reread += rate * (batch[-1].must_read_from - stream.must_read_from) / 1000
            if len(batch) == most or reread > _REREAD_WEIGHT or stream.backlog != batch[-1].backlog:
                batches.append(Batch(batch))
                batch, rate, reread = [], 0.0, 0.0
        batch.append(stream)
        rate += stream.rate
    return [*batches, Batch(batch)] if batch else batches
