"""Whose a job is that bears a name of ours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from airflow_sm_processing.ownership.owner import CLAIM_TAG, life_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_sm_processing.ownership.intents import Intent
    from airflow_sm_processing.ownership.owner import Life, Owner

__all__ = ["Claimant", "Standing"]

_CLOCK_SKEW = 60.0  # between AWS and this Airflow


class Standing(Enum):
    """What a job is to a task instance that meets it."""

    OURS = "ours"
    """Made in this life of the task instance, by this try or an earlier one."""
    EARLIER = "earlier"
    """Made by the task instance before a user cleared it; without notes, also in a run of the same id before this."""
    FOREIGN = "foreign"
    """Somebody else's; with notes, also that of a run of the same id before this, or of an Airflow of the same name."""


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """A task instance in its present life."""

    owner: Owner
    life: Life
    run_started: float | None
    """When the DAG run began or was begun anew, in seconds since the epoch."""
    claim: str | None
    """The word that this life's jobs have in their tags; None where Airflow can't keep it."""
    noted: float | None = None
    """When this life's first intent was noted, in seconds since the epoch."""
    earlier: Intent | None = None
    """The last intent of the life before, if it is known."""
    former: tuple[str, ...] = ()
    """The claims of all lives before that are known."""

    def standing(
        self, job_name: str, *, tags: Mapping[str, str] | None, created_at: datetime | None, own_name: bool
    ) -> Standing:
        """Judge a job by its tags, and where they don't tell, by its name and time.

        Args:
            job_name: The job's.
            tags: The job's; None if they can't be read.
            created_at: When it was made, as SageMaker says.
            own_name: Whether its name has the owner's digest in it, which nobody else's has.
        """
        tags = tags or {}
        claim = tags.get(CLAIM_TAG)
        if claim is not None and self.claim is not None:
            return self._by_claim(claim, tags)
        if self.owner.is_denied_by(tags):
            return Standing.FOREIGN
        life = life_of(tags)
        if life is None and not own_name:
            return Standing.FOREIGN
        if life is not None:
            is_ours = self.life.continues(life) and not _is_before(created_at, self.run_started)
        else:
            is_earlier = self.earlier is not None and job_name == self.earlier.job_name
            is_ours = not is_earlier and not _is_before(created_at, self.noted or self.run_started)
        return Standing.OURS if is_ours else Standing.EARLIER

    def _by_claim(self, claim: str, tags: Mapping[str, str]) -> Standing:
        """Judge by the word; a process beside this one may have noted another one at the same moment."""
        if claim in self.former:
            return Standing.EARLIER
        is_ours = claim == self.claim or self._is_of_a_process_beside(tags)
        return Standing.OURS if is_ours else Standing.FOREIGN

    def _is_of_a_process_beside(self, tags: Mapping[str, str]) -> bool:
        life = life_of(tags)
        if life is None or not self.owner.is_named_by(tags):
            return False
        # Airflow renews the trace with a run: not in a clear that leaves the run as it is.
        return self.life.has_trace_of(life) and self.life.continues(life)


def _is_before(moment: datetime | None, bound: float | None) -> bool:
    return moment is not None and bound is not None and moment.timestamp() < bound - _CLOCK_SKEW
