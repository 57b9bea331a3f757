"""What a task notes of its job before there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_processing.ownership.owner import Life

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Intent", "Intents", "NoIntents"]


@dataclass(frozen=True, kw_only=True)
class Intent:
    """That a job of this name is about to be made."""

    job_name: str
    number: int
    """Which of the task instance's jobs it is, counted from 1."""
    claim: str
    """A random word, in the job's tags as well: what has it was made on this intent."""
    life: Life
    noted: float
    """When this life's first intent was noted, in seconds since the epoch."""
    former: tuple[str, ...] = ()
    """The claims of lives before: a call that left in one may make its job in the next."""

    def to_plain(self) -> dict[str, Any]:
        """Give the intent as JSON."""
        return {
            "job_name": self.job_name,
            "number": self.number,
            "claim": self.claim,
            "life": self.life.to_plain(),
            "noted": self.noted,
            "former": list(self.former),
        }

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Intent:
        """Read what `to_plain` gave."""
        return cls(
            job_name=fields["job_name"],
            number=fields["number"],
            claim=fields["claim"],
            life=Life(*fields["life"]),
            noted=fields["noted"],
            former=tuple(fields.get("former", ())),
        )


class Intents(Protocol):
    """Where a task instance keeps its intent: it must survive the task's process, retries and clears."""

    @property
    def available(self) -> bool:
        """Whether what is written is there later; else the jobs' names and tags have to do."""

    def read(self) -> Intent | None:
        """Give the last intent."""

    def write(self, intent: Intent) -> bool:
        """Keep the intent instead of the last one; tell whether that worked."""


class NoIntents:
    """For an Airflow that keeps nothing between tries."""

    available = False

    def read(self) -> Intent | None:
        """Give none."""
        return None

    def write(self, intent: Intent) -> bool:  # noqa: ARG002  # the protocol has it
        """Keep nothing."""
        return False
