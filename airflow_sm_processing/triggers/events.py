"""What a trigger tells the task that it wakes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_sm_processing.triggers.deadlines import Deadline

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
    deadline: Deadline | None = None
    """The wait's deadline, whether or not it has passed: whoever goes on waiting keeps to it."""
    message: str | None = None

    def to_payload(self) -> dict[str, Any]:
        """Give the event as JSON."""
        return {
            "job_name": self.job_name,
            "outcome": self.outcome.value,
            "deadline": self.deadline and list(self.deadline),
            "message": self.message,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> JobEvent:
        """Read what `to_payload` gave."""
        deadline = payload.get("deadline")
        return cls(
            job_name=payload["job_name"],
            outcome=Outcome(payload["outcome"]),
            deadline=Deadline(*deadline) if deadline else None,
            message=payload.get("message"),
        )
