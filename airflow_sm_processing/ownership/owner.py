"""The owner of a job: a task instance, the names and tags of its jobs, and its write-ahead intents."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_processing.processing.definition import MAX_LENGTH, legal_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_sm_processing.processing.definition import JobDefinition


__all__ = [
    "CLAIM_TAG",
    "Claimant",
    "Generation",
    "Intent",
    "Intents",
    "JobRelation",
    "NoIntents",
    "Owner",
    "described_owner",
    "generation_of",
    "job_name",
    "number_of",
    "stem",
    "try_of",
]


_NUMBER_CHARACTERS = 4  # nobody retries a task ten thousand times


def stem(definition: JobDefinition, digest: str) -> str:
    """Return the common part of the names of a task instance's jobs: a readable base and the owner's digest."""
    base = legal_name(definition.base_name)
    room = MAX_LENGTH - len(digest) - _NUMBER_CHARACTERS - 2
    return f"{base[:room].rstrip('-')}-{digest}"


def job_name(stem: str, number: int) -> str:
    """Return the name of a task instance's job; numbers start at 1."""
    return f"{stem}-{number}"


def number_of(name: str, digest: str) -> int | None:
    """Return the number in the name of a job of the owner with that digest; None if it isn't such a name."""
    found = re.search(rf"-{digest}-(\d+)$", name)
    return int(found[1]) if found else None


_PREFIX = "airflow:"
CLAIM_TAG = f"{_PREFIX}claim"
_GENERATION_TAG = f"{_PREFIX}life"
_TRY_TAG = f"{_PREFIX}try-number"
_DIGEST_CHARACTERS = 12
_ILLEGAL_IN_TAGS = re.compile(r"[^\w .:/=+\-@]")


@dataclass(frozen=True)
class Generation:
    """Identifies the time between two clears of a task instance.

    Airflow doesn't notify tasks of clears, but each clear leaves marks: it raises `max_tries`, unless the task was
    running, it increases the run's `clear_number`, and in newer Airflows it gives the cleared tasks a new trace.
    """

    max_tries: int
    clear_number: int | None = None
    """The number of clears of any tasks of the run."""
    trace: str = ""
    """The task instance's W3C `traceparent`; empty where Airflow gives it none."""

    def continues(self, earlier: Generation) -> bool:
        """Return whether this task instance wasn't cleared between the earlier generation and this one.

        If that is unclear, return False: on an Airflow that gives tasks no trace, a clear of this task while it is
        running leaves the same marks as a clear of another task of its run, and a user who clears it expects a new job.
        """
        if self.max_tries != earlier.max_tries:
            return False
        if self.clear_number == earlier.clear_number:
            return True
        return self.has_trace_of(earlier)

    def has_trace_of(self, other: Generation) -> bool:
        """Return whether both have the same trace, so that no clear between them renewed the run's or the task's."""
        return bool(self.trace) and self.trace == other.trace

    def to_plain(self) -> list[Any]:
        """Return the fields as JSON."""
        return [self.max_tries, self.clear_number, self.trace]

    def __str__(self) -> str:
        return "/".join(["" if item is None else str(item) for item in self.to_plain()])

    @classmethod
    def parse(cls, text: str) -> Generation | None:
        """Parse the result of `str`; return None for other text."""
        found = re.fullmatch(r"(-?\d+)/(\d*)/([\w-]*)", text, re.ASCII)
        return found and cls(int(found[1]), int(found[2]) if found[2] else None, found[3])


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A task instance, which owns at most one job at a time."""

    deployment: str
    """Distinguishes this Airflow from others in the same AWS account; at most 250 characters, like Airflow's ids."""
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    """-1 if the task isn't mapped."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify the task instance in the names of its jobs."""
        parts = (self.deployment, self.dag_id, self.run_id, self.task_id, self.map_index)
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:_DIGEST_CHARACTERS]

    def tags(self, *, try_number: int, generation: Generation, claim: str | None) -> dict[str, str]:
        """Return the tags of a job that belongs to this task instance, the most important first."""
        claimed = {} if claim is None else {CLAIM_TAG: claim}
        return {
            **claimed,
            _GENERATION_TAG: str(generation),
            **self._identity(),
            _TRY_TAG: str(try_number),
        }

    def is_denied_by(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job's tags name another owner."""
        return any(tags.get(key, value) != value for key, value in self._identity().items())

    def is_named_by(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job's tags name this owner in full."""
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


def generation_of(tags: Mapping[str, str]) -> Generation | None:
    """Return the generation that a job's tags name."""
    return Generation.parse(tags.get(_GENERATION_TAG, ""))


def try_of(tags: Mapping[str, str]) -> int | None:
    """Return the number of the try that created a job, if its tags have it."""
    number = tags.get(_TRY_TAG, "")
    return int(number) if number.isdecimal() else None


def described_owner(tags: Mapping[str, str]) -> str | None:
    """Return the owner in a job's tags, in words; None if they don't name one."""
    names = {key: tags.get(f"{_PREFIX}{key}") for key in ("task-id", "dag-id", "run-id", "map-index", "deployment")}
    if not names["dag-id"]:
        return None
    mapped = "" if names["map-index"] in {None, "-1"} else f"[{names['map-index']}]"
    return f"task {names['task-id']}{mapped} of DAG {names['dag-id']}, run {names['run-id']}, on {names['deployment']}"


def _tag_value(text: str) -> str:
    return _ILLEGAL_IN_TAGS.sub("_", text)


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A write-ahead record that a job of this name is about to be created."""

    job_name: str
    number: int
    """The job's number among the task instance's jobs, starting at 1."""
    claim: str
    """A random word that is also in the tags of the jobs that are created with this intent."""
    generation: Generation
    noted: float
    """When this generation's first intent was stored, in seconds since the epoch."""
    former: tuple[str, ...] = ()
    """The claims of earlier generations: a call that was sent in one of them may create its job in this one."""

    def to_plain(self) -> dict[str, Any]:
        """Return the intent as JSON."""
        return {
            "job_name": self.job_name,
            "number": self.number,
            "claim": self.claim,
            "generation": self.generation.to_plain(),
            "noted": self.noted,
            "former": list(self.former),
        }

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Intent:
        """Read the result of `to_plain`."""
        return cls(
            job_name=fields["job_name"],
            number=fields["number"],
            claim=fields["claim"],
            generation=Generation(*fields["generation"]),
            noted=fields["noted"],
            former=tuple(fields.get("former", ())),
        )


class Intents(Protocol):
    """The store of a task instance's intent, which must survive the task's process, retries and clears."""

    @property
    def available(self) -> bool:
        """Whether a written intent can be read later; if not, only the jobs' names and tags identify them."""

    def read(self) -> Intent | None:
        """Return the last intent."""

    def write(self, intent: Intent) -> bool:
        """Replace the last intent; return whether that worked."""


class NoIntents:
    """The store for an Airflow that keeps nothing between tries."""

    available = False

    def read(self) -> Intent | None:
        """Return None."""
        return None

    def write(self, intent: Intent) -> bool:  # noqa: ARG002  # the protocol has it
        """Store nothing."""
        return False


_CLOCK_SKEW = 60.0  # between AWS and this Airflow


class JobRelation(Enum):
    """The relation of an existing job to a task instance."""

    OURS = "ours"
    """Created in this generation of the task instance, by this try or an earlier one."""
    EARLIER = "earlier"
    """Created by the task instance before a user cleared it; without intents, also in an earlier run of the same id."""
    FOREIGN = "foreign"
    """Somebody else's; with intents, also that of an earlier run of the same id, or of an Airflow of the same name."""


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """A task instance in its present generation."""

    owner: Owner
    generation: Generation
    run_started: float | None
    """When the DAG run was started or restarted, in seconds since the epoch."""
    claim: str | None
    """The word in the tags of this generation's jobs; None if Airflow can't store it."""
    noted: float | None = None
    """When this generation's first intent was stored, in seconds since the epoch."""
    earlier: Intent | None = None
    """The last intent of the generation before, if known."""
    former: tuple[str, ...] = ()
    """The known claims of all earlier generations."""

    def relation(
        self, job_name: str, *, tags: Mapping[str, str] | None, created_at: datetime | None, own_name: bool
    ) -> JobRelation:
        """Return a job's relation, from its tags or, without them, from its name and creation time.

        Args:
            job_name: The job's name.
            tags: The job's tags; None if they can't be read.
            created_at: The job's creation time in SageMaker.
            own_name: Whether the job's name contains the owner's digest, which no other owner's names do.
        """
        tags = tags or {}
        claim = tags.get(CLAIM_TAG)
        if claim is not None and self.claim is not None:
            return self._by_claim(claim, tags)
        if self.owner.is_denied_by(tags):
            return JobRelation.FOREIGN
        generation = generation_of(tags)
        if generation is None and not own_name:
            return JobRelation.FOREIGN
        if generation is not None:
            is_ours = self.generation.continues(generation) and not _is_before(created_at, self.run_started)
        else:
            is_earlier = self.earlier is not None and job_name == self.earlier.job_name
            is_ours = not is_earlier and not _is_before(created_at, self.noted or self.run_started)
        return JobRelation.OURS if is_ours else JobRelation.EARLIER

    def _by_claim(self, claim: str, tags: Mapping[str, str]) -> JobRelation:
        """Return the relation from the claim; a concurrent process may have stored another one at the same moment."""
        if claim in self.former:
            return JobRelation.EARLIER
        is_ours = claim == self.claim or self._is_of_a_process_beside(tags)
        return JobRelation.OURS if is_ours else JobRelation.FOREIGN

    def _is_of_a_process_beside(self, tags: Mapping[str, str]) -> bool:
        generation = generation_of(tags)
        if generation is None or not self.owner.is_named_by(tags):
            return False
        # Airflow renews the trace with a restarted run, but not in a clear that doesn't restart the run.
        return self.generation.has_trace_of(generation) and self.generation.continues(generation)


def _is_before(moment: datetime | None, bound: float | None) -> bool:
    return moment is not None and bound is not None and moment.timestamp() < bound - _CLOCK_SKEW
