"""What OpenLineage is told of a task: the data that its job reads and writes, and the job itself.

Its provider calls the operator's methods when a task begins and when it has ended, in the task's process; where it
isn't installed, nothing here is called. No method calls AWS.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.operators.definitions import read_task
from airflow_sm_processing.operators.getting import ClaimingTask
from airflow_sm_processing.processing.definition import CODE_INPUT_NAME
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.s3_uris import S3Location, is_s3_uri
from airflow_sm_processing.xcoms import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.models import ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.s3 import Size

__all__ = ["TracedJob", "TracedTask", "dataset_name"]


class TracedJob(NamedTuple):
    """A task's job as it was last seen."""

    description: JobDescription
    sizes: Mapping[str, Size | None] = MappingProxyType({})
    """Of its inputs and outputs, by S3 URI, when it has ended."""

    @classmethod
    def just_made(cls, job: ProcessingJob) -> TracedJob:
        """Give a job as its request has it."""
        from airflow_sm_processing.processing.description import JobDescription

        response = {
            **(job.request or {}),
            "ProcessingJobName": job.job_name,
            "ProcessingJobArn": job.job_arn or "",
            "ProcessingJobStatus": JobStatus.IN_PROGRESS.value,
        }
        return cls(JobDescription.from_response(response).without(job.sagemaker_session.secrets))


class TracedTask(ClaimingTask):
    """A task that tells OpenLineage of its job."""

    _traced: TracedJob | None = None

    def get_openlineage_facets_on_start(self) -> Any:
        """Give the places in S3 that the task itself names; others are known when the job is made."""
        definition = read_task(self)[0]
        code = self.secrets.hide(definition.code) if isinstance(definition.code, str) else None
        return _lineage(
            inputs=_unique(_input_uris(definition.inputs), self.secrets.hide, _dataset),
            outputs=_unique(_output_uris(definition.outputs), self.secrets.hide, _dataset),
            job_facets={
                **_definition_facet(definition.image_uri, definition.instance_type, definition.instance_count),
                **_source_facet(code),
            },
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Give what the job read and wrote, with sizes, and the job."""
        del task_instance
        return self.get_openlineage_facets_on_start() if self._traced is None else lineage_of(self._traced)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Give the same, as far as the job came."""
        return self.get_openlineage_facets_on_complete(task_instance)


def lineage_of(traced: TracedJob) -> Any:
    """Give the lineage of a job, as OpenLineage's provider wants it."""
    from openlineage.client.facet_v2 import external_query_run

    from airflow_sm_processing.operators.lineage_facets import ProcessingJobRunFacet

    job, sizes = traced.description, traced.sizes
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
    data = [item for item in job.inputs if item.input_name != CODE_INPUT_NAME]
    return _lineage(
        inputs=_unique(_input_uris(data), str, lambda uri: _input_dataset(uri, sizes.get(uri))),
        outputs=_unique(_output_uris(job.outputs), str, lambda uri: _output_dataset(uri, sizes.get(uri))),
        job_facets={**_definition_facet(image, job.instance_type, job.instance_count), **_source_facet(code)},
        run_facets={"sagemakerProcessingJob": run_facet, "externalQuery": query},
    )


def dataset_name(uri: str) -> tuple[str, str]:
    """Give the namespace and name that OpenLineage has for a place in S3.

    A prefix is the same dataset with and without a slash at its end, and as it is for an Airflow asset of that URI.
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
    """Give one dataset for each place, in order."""
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
    """Give the size as a facet; none of what was counted in part, for there the field has no way to say so."""
    return {name: make(size=size.bytes, fileCount=size.objects)} if size is not None and size.complete else {}


def _definition_facet(image_uri: Any, instance_type: Any, instance_count: Any) -> dict[str, Any]:
    from airflow_sm_processing.operators.lineage_facets import ProcessingDefinitionJobFacet

    facet = ProcessingDefinitionJobFacet(imageUri=image_uri, instanceType=instance_type, instanceCount=instance_count)
    return {"sagemakerProcessing": facet}


def _source_facet(uri: str | None) -> dict[str, Any]:
    if uri is None or not is_s3_uri(uri):
        return {}
    from openlineage.client.facet_v2 import source_code_location_job

    return {"sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(type="s3", url=uri)}
