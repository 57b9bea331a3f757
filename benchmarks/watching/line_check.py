"""Judges shown log lines: are they the jobs' own, each once, in order, and in the right task's log?"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import structlog

from benchmarks.fake_sagemaker.plan import job_name, line_text

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LINE = re.compile(r"\[(?P<prefix>\S+)\] (?P<text>job (?P<job>\d+) host algo-(?P<host>\d+) line (?P<number>\d+):.*)")


class LineCheck:
    """What was shown so far, and what was wrong with it."""

    def __init__(self) -> None:
        self.next: Counter[str] = Counter()
        """The number of the line that each job's host should show next, by `job/host`."""
        self.missing: dict[str, set[int]] = defaultdict(set)
        """The numbers before it that weren't shown."""
        self.faults: Counter[str] = Counter()

    def show(self, job: str, text: str) -> None:
        """Judge what stands in a job's task log; what isn't a line of a job is left alone."""
        found = LINE.search(text)
        if found is None:
            return
        index, host, number = int(found["job"]), int(found["host"]), int(found["number"])
        key = f"{job_name(index)}/algo-{host}"
        if found["text"] != line_text(index, host, number):
            self.faults["changed"] += 1
        if key != f"{job}/{found['prefix']}":
            self.faults["in a wrong place"] += 1
        self._place(key, number)

    def _place(self, key: str, number: int) -> None:
        if number >= self.next[key]:
            self.missing[key].update(range(self.next[key], number))
            self.next[key] = number + 1
        elif number in self.missing[key]:
            self.missing[key].remove(number)
            self.faults["out of order"] += 1
        else:
            self.faults["repeated"] += 1

    def count_lost(self, written: dict[str, int]) -> None:
        """Compare with the lines that were written, by stream: what is missing now was never shown."""
        for stream, lines in written.items():
            job, _, host = stream.partition("/")
            key = f"{job}/{host.rpartition('-')[0]}"
            if lost := len(self.missing[key]) + lines - self.next[key]:
                self.faults["lost"] += lost


class LogListener:
    """A structlog processor that takes each log call of a trigger, has its line judged, and ends it there."""

    def __init__(self, check: LineCheck) -> None:
        self._check = check

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Judge one log call; Airflow tells the tasks' logs apart by the same context variable."""
        self._check.show(str(event.get("trigger_id")), str(event["event"]))
        raise structlog.DropEvent
