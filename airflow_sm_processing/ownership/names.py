"""Names of the jobs that belong to a task instance."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_sm_processing.processing.names import MAX_LENGTH, base_name_from_image, legal_name

if TYPE_CHECKING:
    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["job_name", "number_of", "stem"]

_NUMBER_CHARACTERS = 4  # nobody retries a task ten thousand times


def stem(definition: JobDefinition, digest: str) -> str:
    """Give what the names of a task instance's jobs have in common: a readable base and the owner's digest."""
    base = legal_name(str(definition.base_job_name or base_name_from_image(str(definition.image_uri or ""))))
    room = MAX_LENGTH - len(digest) - _NUMBER_CHARACTERS - 2
    return f"{base[:room].rstrip('-')}-{digest}"


def job_name(stem: str, number: int) -> str:
    """Give the name of a task instance's job; numbers count from 1."""
    return f"{stem}-{number}"


def number_of(name: str, digest: str) -> int | None:
    """Give the number of a job of the owner with that digest; None if the name isn't one of its."""
    found = re.search(rf"-{digest}-(\d+)$", name)
    return int(found[1]) if found else None
