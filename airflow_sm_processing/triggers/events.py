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
    """The time to wait is over; a job that hadn't ended was stopped, unless the user wants it to go on."""
    UNKNOWN = "unknown"
    """SageMaker knows no job of that name: it was deleted."""
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
    log_position: dict[str, Any] | None = None
    """The fields of a `LogPosition`: what of the job's log was shown already."""
    position_kept: bool = False
    """Whether the task has an XCom with a position, which it needs no longer."""

    def to_payload(self) -> dict[str, Any]:
        """Give the event as JSON."""
        return {
            "job_name": self.job_name,
            "outcome": self.outcome.value,
            "deadline": self.deadline and list(self.deadline),
            "message": self.message,
            "log_position": self.log_position,
            "position_kept": self.position_kept,
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
            log_position=payload.get("log_position"),
            position_kept=payload.get("position_kept", False),
        )
