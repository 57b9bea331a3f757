"""The log lines of an upload."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_sm_processing.processing.uploads.files import LocalFile

__all__ = ["SECONDS_BETWEEN_LINES", "Progress"]

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5.0
"""Rare enough for a log, often enough to see that the upload lives. A shorter upload logs its end alone."""

_MINUTE = 60
_KIB = 1024


class Progress:
    """Count what has arrived in S3, and log it now and then.

    Args:
        destination: The S3 URI that the lines name.
        files: Everything that is to be sent.
        clock: Seconds that never go back.
    """

    def __init__(
        self, destination: str, files: Sequence[LocalFile], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.files_done = 0
        self.bytes_done = 0
        self.files_total = len(files)
        self.bytes_total = sum(file.size for file in files)
        self._destination = destination
        self._clock = clock
        self._started = clock()
        self._next_line = self._started + SECONDS_BETWEEN_LINES

    @property
    def seconds(self) -> float:
        """Seconds since the upload began."""
        return self._clock() - self._started

    @property
    def seconds_to_next_line(self) -> float:
        """How long to wait, at most, before calling `log_if_due`."""
        return max(0.0, self._next_line - self._clock())

    def log_if_due(self) -> None:
        """Log one line if the last is old enough."""
        if self._clock() < self._next_line:
            return
        self._next_line = self._clock() + SECONDS_BETWEEN_LINES
        logger.info(
            "Uploading to %s: %s of %s files, %s of %s, %s/s%s",
            self._destination,
            f"{self.files_done:,}",
            f"{self.files_total:,}",
            size_text(self.bytes_done),
            size_text(self.bytes_total),
            size_text(self._rate()),
            self._time_left(),
        )

    def log_end(self) -> None:
        """Log the one line that every finished upload has."""
        logger.info(
            "Uploaded %s (%s) to %s in %s (%s/s)",
            "1 file" if self.files_total == 1 else f"{self.files_total:,} files",
            size_text(self.bytes_total),
            self._destination,
            duration_text(self.seconds),
            size_text(self._rate()),
        )

    def _rate(self) -> float:
        return self.bytes_done / self.seconds if self.seconds else 0.0

    def _time_left(self) -> str:
        done, total = (self.bytes_done, self.bytes_total) if self.bytes_total else (self.files_done, self.files_total)
        if not done:
            return ""
        return f", {duration_text(self.seconds * (total - done) / done)} left"


def size_text(count: float) -> str:
    """Write a number of bytes with a binary unit, such as `7.8 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < _KIB:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KIB
    return f"{count:.1f} GiB"


def duration_text(seconds: float) -> str:
    """Write a duration such as `2.1 s` or `3 min 5 s`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
