"""What the fake's jobs do, and when: the same for every contender with the same seed."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from typing import NamedTuple

PREFIX = "bench-"
START_DELAY = 1.0
"""Seconds from the start signal to the first moment at which a job may end."""


class Ending(NamedTuple):
    """How one job ends."""

    after: float
    """Seconds after the jobs' start, in whole milliseconds, as AWS gives its times."""
    status: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The jobs of one scenario."""

    jobs: int
    created_ago: float = 30.0
    """Seconds before the fake's own start at which the first job was created."""
    created_over: float = 30.0
    """Seconds over which the jobs were created; 0 creates all at once."""
    loses_ties: bool = False
    """Whether a page that is sorted by creation begins after the moment at which the one before ended: then it leaves
    out those that were created at the same moment and had no place there."""
    spread: float = 60.0
    """Seconds over which the jobs end, in random order."""
    seed: int = 1
    throttle: float | None = None
    """Calls a second that the account allows; None allows all."""
    latency: float = 0.02
    """Seconds that the service takes to answer."""
    lines_per_second: int = 0
    """What each host writes, from the start signal to its job's end; a divisor of 1000 keeps the times exact."""
    hosts: int = 1
    seconds: float = 2.0
    """How long a job runs that CreateProcessingJob makes, give or take a half."""
    running: int | None = None
    """How many jobs the account allows at once; None allows any number."""
    creates: float | None = None
    """CreateProcessingJob calls a second that the account allows; None allows all."""
    trouble: float = 0.0
    """The share of calls that fail, in every way there is."""
    hold: float = 1.0
    """Seconds that an answer takes which comes too late for its client."""

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` gave."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the plan as one command line argument."""
        return json.dumps(asdict(self))

    def endings(self) -> list[Ending]:
        """Return each job's ending: spread evenly at random, 4 % failed and 1 % stopped."""
        chance = random.Random(self.seed)
        return [
            Ending(
                round(START_DELAY + chance.uniform(0, self.spread), 3),
                chance.choices(("Completed", "Failed", "Stopped"), (95, 4, 1))[0],
            )
            for _ in range(self.jobs)
        ]


def job_name(index: int) -> str:
    """Name the job of this number."""
    return f"{PREFIX}{index:05}"


def line_text(index: int, host: int, number: int) -> str:
    """Return a log line that tells where it belongs: to a job, a host, and its place there."""
    return f"job {index} host algo-{host} line {number}: one more batch, and its loss is a little lower: 0.{number:06}"
