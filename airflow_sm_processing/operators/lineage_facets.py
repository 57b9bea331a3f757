"""What OpenLineage is told of a job; imported only where OpenLineage asks, for it imports OpenLineage."""

from __future__ import annotations

from attrs import define
from openlineage.client.facet_v2 import JobFacet, RunFacet

__all__ = ["ProcessingDefinitionJobFacet", "ProcessingJobRunFacet"]


@define(kw_only=True)
class ProcessingDefinitionJobFacet(JobFacet):
    """What the task's jobs have in common: `sagemakerProcessing`."""

    imageUri: str | None = None  # noqa: N815  # OpenLineage's spelling, as of all facets' fields
    instanceType: str | None = None  # noqa: N815  # the same
    instanceCount: int | None = None  # noqa: N815  # the same


@define(kw_only=True)
class ProcessingJobRunFacet(RunFacet):
    """The job of one run of the task: `sagemakerProcessingJob`; times are ISO 8601 in UTC."""

    jobName: str  # noqa: N815  # OpenLineage's spelling, as of all facets' fields
    jobArn: str  # noqa: N815  # the same
    status: str
    """A ProcessingJobStatus."""
    startedAt: str | None = None  # noqa: N815  # the same
    endedAt: str | None = None  # noqa: N815  # the same
    durationSeconds: float | None = None  # noqa: N815  # the same
    instanceSeconds: float | None = None  # noqa: N815  # the same
    exitMessage: str | None = None  # noqa: N815  # the same
    failureReason: str | None = None  # noqa: N815  # the same
