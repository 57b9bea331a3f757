"""What a trigger tells the task that it wakes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

__all__ = ["JobEvent", "Outcome"]


class Outcome(str, Enum):
    """Why the wait is over."""

    ENDED = "ended"
    """The job has a terminal status."""
    DEADLINE = "deadline"
    """The time to wait is over; the job goes on."""
    TROUBLE = "trouble"
    """The job can't be watched from the triggerer; the worker shall look for itself."""


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A trigger's event, plain enough for Airflow's database."""

    job_name: str
    outcome: Outcome
    message: str | None = None

    def to_payload(self) -> dict[str, Any]:
        """Give the event as JSON."""
        return {**asdict(self), "outcome": self.outcome.value}

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> JobEvent:
        """Read what `to_payload` gave."""
        return cls(job_name=payload["job_name"], outcome=Outcome(payload["outcome"]), message=payload.get("message"))
