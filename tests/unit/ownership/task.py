"""A task instance as Airflow runs it, try by try."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.ownership.claim import JobClaim, Try
from airflow_sm_processing.ownership.owner import Generation, Owner
from airflow_sm_processing.processing import JobDefinition

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.ownership.claim import Claimed
    from airflow_sm_processing.ownership.owner import Intent

    from .sagemaker import SageMaker

OWNER = Owner(deployment="https://airflow", dag_id="a_dag", run_id="a_run", task_id="a_task")
DEFINITION = JobDefinition(
    role="arn:aws:iam::123456789012:role/R",
    image_uri="registry/sklearn:1",
    instance_count=1,
    instance_type="ml.m5.large",
)


@dataclass
class Notes:
    """Airflow's `task_state_store`."""

    available: bool = True
    kept: Any = None
    writable: bool = True

    def read(self) -> Intent | None:
        return self.kept

    def write(self, intent: Intent) -> bool:
        if self.writable:
            self.kept = intent
        else:
            self.available = False
        return self.writable


@dataclass
class Task:
    """One task instance, its notes and its marks of clears."""

    account: SageMaker
    notes: Notes = field(default_factory=Notes)
    owner: Owner = OWNER
    definition: JobDefinition = DEFINITION
    generation: Generation = field(default_factory=lambda: Generation(2, 0, "00-a-b-01"))
    number: int = 1
    run_started: float | None = None
    slept: list[float] = field(default_factory=list)

    def claim(self, *, may_create: Callable[[], None] = lambda: None, **options: Any) -> JobClaim:
        """Begin a claim, as a process of the present try does."""
        asking = Try(owner=self.owner, generation=self.generation, number=self.number, run_started=self.run_started)
        return JobClaim(
            self.definition,
            self.account.session(),
            asking,
            intents=self.notes,
            may_create=may_create,
            sleep=self.slept.append,
            **options,
        )

    def job(self, **options: Any) -> Claimed:
        """Get the job in the present try."""
        return self.claim(**options).job()

    def retry(self) -> None:
        """Begin the next try, after the last one failed or died."""
        self.number += 1

    def clear(self, *, running: bool = False) -> None:
        """Let a user clear the task: if it was running, Airflow leaves its `max_tries` as it was."""
        clears = (self.generation.clear_number or 0) + 1
        tries = self.generation.max_tries if running else self.generation.max_tries + self.number
        trace = self.generation.trace and f"00-a-{clears}-01"
        self.generation = Generation(tries, clears, trace)
        self.number += 1

    def clear_but_not_its_run(self) -> None:
        """Let a user clear the task with `reset_dag_runs` off: Airflow counts no clear, and keeps the trace."""
        self.generation = replace(self.generation, max_tries=self.generation.max_tries + self.number)
        self.number += 1

    def other_is_cleared(self) -> None:
        """Let a user clear another task of the run."""
        self.generation = replace(self.generation, clear_number=(self.generation.clear_number or 0) + 1)
