"""Who a job belongs to, and how the job says so."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLAIM_TAG", "Life", "Owner", "described_owner", "life_of", "try_of"]

_PREFIX = "airflow:"
CLAIM_TAG = f"{_PREFIX}claim"
_LIFE_TAG = f"{_PREFIX}life"
_TRY_TAG = f"{_PREFIX}try-number"
_DIGEST_CHARACTERS = 12
_ILLEGAL_IN_TAGS = re.compile(r"[^\w .:/=+\-@]")


@dataclass(frozen=True)
class Life:
    """What tells the time between two clears of a task instance from the time before and after.

    Airflow tells its tasks nothing of clears, but they leave marks: each raises `max_tries` unless the task was
    running, counts up the run's `clear_number`, and in newer Airflows gives the cleared tasks a new trace.
    """

    max_tries: int
    clear_number: int | None = None
    """Clears of any tasks of the run."""
    trace: str = ""
    """The task instance's W3C `traceparent`; empty where Airflow gives it none."""

    def continues(self, earlier: Life) -> bool:
        """Tell whether no clear of this task instance lies between.

        In doubt one does: on an Airflow that gives tasks no trace, a clear of this task while it runs and one of
        another task of its run leave the same marks. Who cleared it expects a new job.
        """
        if self.max_tries != earlier.max_tries:
            return False
        if self.clear_number == earlier.clear_number:
            return True
        return self.has_trace_of(earlier)

    def has_trace_of(self, other: Life) -> bool:
        """Tell whether no clear that renewed the run's trace, or the task's own, lies between."""
        return bool(self.trace) and self.trace == other.trace

    def to_plain(self) -> list[Any]:
        """Give the fields as JSON."""
        return [self.max_tries, self.clear_number, self.trace]

    def __str__(self) -> str:
        return "/".join(["" if item is None else str(item) for item in self.to_plain()])

    @classmethod
    def parse(cls, text: str) -> Life | None:
        """Read what `str` gave; None if it is something else."""
        found = re.fullmatch(r"(-?\d+)/(\d*)/([\w-]*)", text, re.ASCII)
        return found and cls(int(found[1]), int(found[2]) if found[2] else None, found[3])


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A task instance, which at most one job at a time may belong to."""

    deployment: str
    """Tells this Airflow from others that use the same AWS account; at most 250 characters, like Airflow's ids."""
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    """-1 if the task isn't mapped."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for the task instance in the names of its jobs."""
        parts = (self.deployment, self.dag_id, self.run_id, self.task_id, self.map_index)
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:_DIGEST_CHARACTERS]

    def tags(self, *, try_number: int, life: Life, claim: str | None) -> dict[str, str]:
        """Give the tags of a job that belongs to this task instance, the most telling first."""
        claimed = {} if claim is None else {CLAIM_TAG: claim}
        return {
            **claimed,
            _LIFE_TAG: str(life),
            **self._identity(),
            _TRY_TAG: str(try_number),
        }

    def is_denied_by(self, tags: Mapping[str, str]) -> bool:
        """Tell whether a job's tags name another owner."""
        return any(tags.get(key, value) != value for key, value in self._identity().items())

    def is_named_by(self, tags: Mapping[str, str]) -> bool:
        """Tell whether a job's tags name this owner in full."""
        return self._identity().items() <= tags.items()

    def _identity(self) -> dict[str, str]:
        values = {
            "deployment": self.deployment,
            "dag-id": self.dag_id,
            "run-id": self.run_id,
            "task-id": self.task_id,
            "map-index": str(self.map_index),
        }
        return {f"{_PREFIX}{key}": _tag_value(value) for key, value in values.items()}


def life_of(tags: Mapping[str, str]) -> Life | None:
    """Give the life that a job's tags tell."""
    return Life.parse(tags.get(_LIFE_TAG, ""))


def try_of(tags: Mapping[str, str]) -> int | None:
    """Give the number of the try that made a job, if its tags tell it."""
    number = tags.get(_TRY_TAG, "")
    return int(number) if number.isdecimal() else None


def described_owner(tags: Mapping[str, str]) -> str | None:
    """Say in words whom a job's tags name; None if they name nobody."""
    names = {key: tags.get(f"{_PREFIX}{key}") for key in ("task-id", "dag-id", "run-id", "map-index", "deployment")}
    if not names["dag-id"]:
        return None
    mapped = "" if names["map-index"] in {None, "-1"} else f"[{names['map-index']}]"
    return f"task {names['task-id']}{mapped} of DAG {names['dag-id']}, run {names['run-id']}, on {names['deployment']}"


def _tag_value(text: str) -> str:
    return _ILLEGAL_IN_TAGS.sub("_", text)
