"""What the names of jobs have in common, so that one DescribeLogStreams call finds the streams of many."""

from __future__ import annotations

from bisect import bisect_left
from os.path import commonprefix
from typing import TYPE_CHECKING

from airflow_sm_processing.watcher.clock import now

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Prefixes"]

_BARREN_SECONDS = 600.0
_AFTER_ALL = "\U0010ffff"


class Prefixes:
    """Chooses a prefix for a job: the shortest that it has in common with others, and that isn't known as barren.

    Jobs that were made together share their base name and most of their timestamp. But so may thousands of older
    ones that nobody looks for: then a longer prefix is tried, in the end the job's own name.
    """

    def __init__(self) -> None:
        self._barren: dict[str, float] = {}

    def around(self, name: str, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """Give a prefix of stream names, and those of `names`, which are sorted, that it finds."""
        for length in range(1, len(name)):
            first = bisect_left(names, name[:length])
            end = bisect_left(names, name[:length] + _AFTER_ALL)
            if end - first < 2:  # noqa: PLR2004  # one job has its own prefix
                break
            prefix = commonprefix([names[first], names[end - 1]])  # noqa: RUF071  # names, not paths
            if self._barren.get(prefix, 0.0) <= now():
                return prefix, names[first:end]
        return f"{name}/", [name]

    def is_barren(self, prefix: str) -> None:
        """Note that a prefix finds mostly the streams of other jobs: it isn't chosen again for a while."""
        self._barren = {known: until for known, until in self._barren.items() if until > now()}
        self._barren[prefix] = now() + _BARREN_SECONDS
