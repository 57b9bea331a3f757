"""How a task waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.values import (
    DEFAULT_MAX_CAPACITY_WAIT,
    DEFAULT_MAX_TRANSIENT_SECONDS,
    DEFAULT_POLL_INTERVAL,
    Value,
    value_object,
)

if TYPE_CHECKING:
    from airflow_sm_processing.processing.description import JobDescription

__all__ = ["Modes"]


@value_object
class Modes(Value):
    """The parameters of the wait; times in seconds."""

    deferrable: bool | None = None
    """None leaves it to Airflow's `[operators] default_deferrable`."""
    wait_for_completion: bool = True
    """False goes before `deferrable`, which then only says where to wait for room for the job."""
    poll_interval: float = DEFAULT_POLL_INTERVAL
    max_wait: float | None = None
    max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS
    max_capacity_wait: float = DEFAULT_MAX_CAPACITY_WAIT
    """How long a task waits for room for its job: for the end of throttling, a free quota, free instances."""
    on_existing_job: str = "reattach"
    """What to do with a job that an earlier try left running or completed."""
    logs: bool | Literal["tail"] = True
    """True shows the job's lines as they come, `"tail"` the last of each host at the end."""
    on_stopped: str = "fail"
    stop_on_kill: bool = True
    """Whether the job is stopped when nobody waits for it any more."""
    end_from_trigger: bool = False
    """Whether a deferred task whose job completes ends without a worker."""
    skip_on_exit_code: frozenset[int] = frozenset()
    """Of a job that failed, the exit codes that skip the task."""

    def skips_on_exit_of(self, description: JobDescription) -> bool:
        """Tell whether a job failed with an exit code that skips the task."""
        return description.status is JobStatus.FAILED and description.exit_code in self.skip_on_exit_code
