"""Names of the jobs that tasks start."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from airflow_sm_processing.processing.names import LONGEST_BASE, base_name_from_image

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["named_after_task"]

_DIGEST_CHARACTERS = 8
_BASE_CHARACTERS = LONGEST_BASE - _DIGEST_CHARACTERS - 1  # the digest must survive the cut of the name


def named_after_task(definition: JobDefinition, ti: RuntimeTaskInstanceProtocol) -> JobDefinition:
    """Give the definition a base name of the task instance's own.

    A generated name differs by the millisecond otherwise, and of mapped tasks that start together some would collide.
    """
    if definition.job_name is not None:
        return definition
    base = definition.base_job_name or base_name_from_image(str(definition.image_uri))
    owner = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)
    digest = hashlib.sha256("\0".join(map(str, owner)).encode()).hexdigest()
    short = str(base)[:_BASE_CHARACTERS].rstrip("-_.")
    return dataclasses.replace(definition, base_job_name=f"{short}-{digest[:_DIGEST_CHARACTERS]}")
