"""Reads what the triggers log: are the jobs' lines there, each once, in order, and in the right task's log?"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from benchmarks.fake_sagemaker.plan import job_name, line_text

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LINE = re.compile(r"\[(?P<prefix>algo-\d+)\] (?P<moment>\S+Z) (?P<text>job (?P<job>\d+) host algo-(?P<host>\d+) .*)")
NUMBER = re.compile(r" line (\d+):")


class LineCheck:
    """A structlog processor that judges each line and drops it."""

    def __init__(self) -> None:
        self.next: Counter[tuple[str, int]] = Counter()
        """The number of the line that each job's host should show next."""
        self.faults: Counter[str] = Counter()

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Judge one log call of a trigger; the text may have its arguments beside it, as structlog keeps them."""
        text = str(event["event"])
        if arguments := event.get("positional_args"):
            text %= arguments
        if found := LINE.search(text):
            self._judge(found, str(event.get("trigger_id")))
        raise structlog.DropEvent

    def _judge(self, found: re.Match[str], job: str) -> None:
        index, host = int(found["job"]), int(found["host"])
        key = (job_name(index), host)
        number = NUMBER.search(found["text"])
        shown = int(number[1]) if number else -1
        if found["text"] != line_text(index, host, shown):
            self.faults["changed"] += 1
        if found["prefix"] != f"algo-{host}" or key[0] != job:
            self.faults["in a wrong place"] += 1
        if shown < self.next[key]:
            self.faults["repeated or late"] += 1
        elif shown > self.next[key]:
            self.faults["skipped"] += shown - self.next[key]
        self.next[key] = max(self.next[key], shown + 1)
