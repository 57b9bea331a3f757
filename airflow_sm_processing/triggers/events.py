"""What a trigger tells the task that it wakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_sm_processing.triggers.deadlines import Deadline
from airflow_sm_processing.watcher.watches import Verdict

__all__ = ["JobEvent"]


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A trigger's event, plain enough for Airflow's database."""

    job_name: str
    outcome: Verdict
    deadline: Deadline | None = None
    """The wait's deadline, whether or not it has passed: whoever goes on waiting keeps to it."""
    message: str | None = None
    log_position: dict[str, Any] | None = None
    """The fields of a `LogPosition`: what of the job's log was shown already."""
    position_kept: bool = False
    """Whether the task has an XCom with a position, which it needs no longer."""
    refused_since: float | None = None
    """When AWS first had no room for the task's job, in seconds since the epoch; None if it always had."""

    def to_payload(self) -> dict[str, Any]:
        """Give the event as JSON."""
        return {
            "job_name": self.job_name,
            "outcome": self.outcome.value,
            "deadline": self.deadline and list(self.deadline),
            "message": self.message,
            "log_position": self.log_position,
            "position_kept": self.position_kept,
            "refused_since": self.refused_since,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> JobEvent:
        """Read what `to_payload` gave."""
        deadline = payload.get("deadline")
        return cls(
            job_name=payload["job_name"],
            outcome=Verdict(payload["outcome"]),
            deadline=Deadline(*deadline) if deadline else None,
            message=payload.get("message"),
            log_position=payload.get("log_position"),
            position_kept=payload.get("position_kept", False),
            refused_since=payload.get("refused_since"),
        )
