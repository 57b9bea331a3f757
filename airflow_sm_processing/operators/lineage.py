"""The OpenLineage events of a task: the data that its job reads and writes, and the job itself.

This module is loaded only when OpenLineage's provider needs it, because it imports OpenLineage. It doesn't call AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define
from openlineage.client.facet_v2 import JobFacet, RunFacet

from airflow_sm_processing.processing.definition import CODE_INPUT_NAME, MANIFEST_INPUT_NAMES, is_of_code
from airflow_sm_processing.processing.models import S3Location, is_s3_uri
from airflow_sm_processing.xcoms import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_sm_processing.operators.job_run import SeenJob
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.s3 import Size

__all__ = [
    "ProcessingDefinitionJobFacet",
    "ProcessingJobRunFacet",
    "dataset_name",
    "lineage_of_definition",
    "lineage_of_job",
]


@define(kw_only=True)
class ProcessingDefinitionJobFacet(JobFacet):
    """The properties that the task's jobs share: `sagemakerProcessing`."""

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


def lineage_of_definition(definition: JobDefinition, hide: Callable[[str], str]) -> Any:
    """Return the lineage of a task before it has a job: the S3 locations that the task itself names.

    Args:
        definition: The job's definition.
        hide: Returns a text without the secrets in it.
    """
    place = definition.code if definition.source_dir is None else definition.source_dir
    code = hide(place) if isinstance(place, str) else None
    return _lineage(
        inputs=_unique(_input_uris(definition.inputs), hide, _dataset),
        outputs=_unique(_output_uris(definition.outputs), hide, _dataset),
        job_facets={
            **_definition_facet(definition.written_image, definition.instance_type, definition.instance_count),
            **_source_facet(code),
        },
    )


def lineage_of_job(seen: SeenJob, of_definition: Callable[[], Any]) -> Any:
    """Return the lineage of a job: the job, and what it read and wrote, with sizes.

    Args:
        seen: The job, and what was measured of it.
        of_definition: Returns the lineage that the task had before, for inputs that manifests stand in for.
    """
    from openlineage.client.facet_v2 import external_query_run

    job, sizes = seen
    run_facet = ProcessingJobRunFacet(
        jobName=job.job_name,
        jobArn=job.job_arn,
        status=job.status.value,
        startedAt=moment(job.started_at),
        endedAt=moment(job.ended_at),
        durationSeconds=job.duration_seconds,
        instanceSeconds=job.instance_seconds,
        exitMessage=job.exit_message,
        failureReason=job.failure_reason,
    )
    query = external_query_run.ExternalQueryRunFacet(externalQueryId=job.job_arn, source="sagemaker")
    image = job.request.get("AppSpecification", {}).get("ImageUri")
    code = next(_input_uris(item for item in job.inputs if item.input_name == CODE_INPUT_NAME), None)
    data = [item for item in job.inputs if not is_of_code(item)]
    plain = [item for item in data if not str(item.input_name).startswith(MANIFEST_INPUT_NAMES)]
    read = _unique(_input_uris(plain), str, lambda uri: _input_dataset(uri, sizes.get(uri)))
    if len(plain) < len(data):
        known = {(item.namespace, item.name) for item in read}
        read += [item for item in of_definition().inputs if (item.namespace, item.name) not in known]
    return _lineage(
        inputs=read,
        outputs=_unique(_output_uris(job.outputs), str, lambda uri: _output_dataset(uri, sizes.get(uri))),
        job_facets={**_definition_facet(image, job.instance_type, job.instance_count), **_source_facet(code)},
        run_facets={"sagemakerProcessingJob": run_facet, "externalQuery": query},
    )


def dataset_name(uri: str) -> tuple[str, str]:
    """Return OpenLineage's namespace and name for an S3 location.

    A prefix is the same dataset with and without a slash at its end, and the same as an Airflow asset of that URI.
    """
    bucket, key = S3Location.parse(uri)
    return f"s3://{bucket}", key.rstrip("/") or "/"


def _lineage(**parts: Any) -> Any:
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(**parts)


def _input_uris(items: Iterable[ProcessingInput]) -> Iterator[str]:
    for item in items:
        uri = getattr(item.s3_input, "s3_uri", None)
        if isinstance(uri, str) and is_s3_uri(uri):
            yield uri


def _output_uris(items: Iterable[ProcessingOutput]) -> Iterator[str]:
    for item in items:
        if isinstance(item.destination, str) and is_s3_uri(item.destination):
            yield item.destination


def _unique(uris: Iterable[str], shown: Callable[[str], str], make: Callable[[str], Any]) -> list[Any]:
    """Return one dataset for each location, in order."""
    return list({dataset_name(shown(uri)): make(shown(uri)) for uri in uris}.values())


def _dataset(uri: str) -> Any:
    from openlineage.client.event_v2 import Dataset

    namespace, name = dataset_name(uri)
    return Dataset(namespace=namespace, name=name)


def _input_dataset(uri: str, size: Size | None) -> Any:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset

    namespace, name = dataset_name(uri)
    make = input_statistics_input_dataset.InputStatisticsInputDatasetFacet
    return InputDataset(namespace=namespace, name=name, inputFacets=_statistics("inputStatistics", make, size))


def _output_dataset(uri: str, size: Size | None) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    namespace, name = dataset_name(uri)
    make = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    return OutputDataset(namespace=namespace, name=name, outputFacets=_statistics("outputStatistics", make, size))


def _statistics(name: str, make: Any, size: Size | None) -> dict[str, Any]:
    """Return the size as a facet; none for an incomplete count, which the facet can't express."""
    return {name: make(size=size.bytes, fileCount=size.objects)} if size is not None and size.complete else {}


def _definition_facet(image_uri: Any, instance_type: Any, instance_count: Any) -> dict[str, Any]:
    facet = ProcessingDefinitionJobFacet(imageUri=image_uri, instanceType=instance_type, instanceCount=instance_count)
    return {"sagemakerProcessing": facet}


def _source_facet(uri: str | None) -> dict[str, Any]:
    if uri is None or not is_s3_uri(uri):
        return {}
    from openlineage.client.facet_v2 import source_code_location_job

    return {"sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(type="s3", url=uri)}
