"""The SDK's processors: what stays the same from job to job."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.definition import JobDefinition
from airflow_sm_processing.processing.inputs import ProcessingInput
from airflow_sm_processing.processing.instances import InstancePreference
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.outputs import ProcessingOutput
from airflow_sm_processing.processing.rules import wait_problems
from airflow_sm_processing.processing.session import Session
from airflow_sm_processing.processing.tags import format_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_sm_processing.processing.network import NetworkConfig

__all__ = ["Processor", "ScriptProcessor"]

_T = TypeVar("_T")


class Processor:
    """Runs a container image as SageMaker processing jobs."""

    def __init__(
        self,
        role: str | None = None,
        image_uri: str | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        entrypoint: Sequence[str] | None = None,
        volume_size_in_gb: int = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        network_config: NetworkConfig | None = None,
        *,
        instance_preferences: str | Sequence[str | Mapping[str, Any] | InstancePreference] = (),
    ) -> None:
        """Take what the SDK's Processor takes, under the same names.

        Args:
            role: The name or ARN of the IAM role that the job runs as.
            image_uri: The container image, in Amazon ECR.
            instance_count: Instances that run the container.
            instance_type: Such as `ml.m5.xlarge`.
            entrypoint: The command that the container runs instead of the image's own.
            volume_size_in_gb: The EBS volume of each instance, in GB.
            volume_kms_key: Encrypts the volume.
            output_kms_key: Encrypts the outputs in S3.
            max_runtime_in_seconds: After that, SageMaker stops the job; its own default is 24 hours.
            base_job_name: Stands before the timestamp in generated job names; the image's name if None.
            sagemaker_session: AWS clients and the default bucket; made from boto3's own configuration if None.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: VPC, isolation, encryption between instances.
            instance_preferences: One to five instance types in order, instead of `instance_type`: SageMaker takes the
                first that has capacity.
        """
        self.role = role
        self.image_uri = image_uri
        self.instance_count = instance_count
        self.instance_type = instance_type
        self.instance_preferences = tuple(InstancePreference.parse(item) for item in _items(instance_preferences))
        self.entrypoint = entrypoint
        self.volume_size_in_gb = volume_size_in_gb
        self.volume_kms_key = volume_kms_key
        self.output_kms_key = output_kms_key
        self.max_runtime_in_seconds = max_runtime_in_seconds
        self.base_job_name = base_job_name
        self.sagemaker_session = sagemaker_session or Session()
        self.env = env
        self.tags = format_tags(tags)
        self.network_config = network_config
        self.jobs: list[ProcessingJob] = []
        """The jobs that `run` started, oldest first."""
        self.latest_job: ProcessingJob | None = None

    def run(
        self,
        inputs: Sequence[ProcessingInput] | None = None,
        outputs: Sequence[ProcessingOutput | str] | None = None,
        arguments: Sequence[str] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, str] | None = None,
        kms_key: str | None = None,
    ) -> ProcessingJob:
        """Run a job.

        Args:
            inputs: What the job reads; local files are uploaded first.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: Of the container's command.
            wait: Whether to return only when the job has completed.
            logs: Whether to log the job's lines; only while waiting.
            job_name: Unique in the account and region; made of the base name and a timestamp if None.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            kms_key: Encrypts what is uploaded.

        Raises:
            DefinitionError: Something is wrong with the definition: every problem at once, before any upload.
            JobEndedError: The job failed or was stopped.
        """
        definition = self.define(
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        return self._run(definition, wait=wait, logs=logs)

    def define(
        self,
        *,
        inputs: Sequence[ProcessingInput] | None = None,
        outputs: Sequence[ProcessingOutput | str] | None = None,
        arguments: Sequence[str] | None = None,
        job_name: str | None = None,
        experiment_config: Mapping[str, str] | None = None,
        kms_key: str | None = None,
    ) -> JobDefinition:
        """Give the definition of a job without submitting it; what is given isn't changed."""
        return JobDefinition(
            role=self.role,
            image_uri=self.image_uri,
            instance_count=self.instance_count,
            instance_type=self.instance_type,
            instance_preferences=self.instance_preferences,
            entrypoint=self.entrypoint,
            arguments=arguments,
            volume_size_in_gb=self.volume_size_in_gb,
            volume_kms_key=self.volume_kms_key,
            output_kms_key=self.output_kms_key,
            max_runtime_in_seconds=self.max_runtime_in_seconds,
            base_job_name=self.base_job_name,
            job_name=job_name,
            env=self.env,
            tags=self.tags,
            network_config=self.network_config,
            experiment_config=experiment_config,
            inputs=_objects("inputs", _items(inputs), ProcessingInput),
            outputs=_objects("outputs", [_output(item) for item in _items(outputs)], ProcessingOutput),
            kms_key=kms_key,
        )

    def _run(self, definition: JobDefinition, *, wait: bool, logs: bool) -> ProcessingJob:
        job = ProcessingJob.submit(
            definition, self.sagemaker_session, extra_problems=wait_problems(wait=wait, logs=logs)
        )
        self.jobs.append(job)
        self.latest_job = job
        if wait:
            job.wait(logs=logs)
        return job


class ScriptProcessor(Processor):
    """Runs a script in a container image as SageMaker processing jobs."""

    def __init__(
        self,
        role: str | None = None,
        image_uri: str | None = None,
        command: Sequence[str] | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        volume_size_in_gb: int = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        network_config: NetworkConfig | None = None,
        *,
        instance_preferences: str | Sequence[str | Mapping[str, Any] | InstancePreference] = (),
    ) -> None:
        """Take what the SDK's ScriptProcessor takes: `command` runs the script, such as `["python3", "-u"]`.

        The other parameters are those of `Processor`.
        """
        super().__init__(
            role=role,
            image_uri=image_uri,
            instance_count=instance_count,
            instance_type=instance_type,
            volume_size_in_gb=volume_size_in_gb,
            volume_kms_key=volume_kms_key,
            output_kms_key=output_kms_key,
            max_runtime_in_seconds=max_runtime_in_seconds,
            base_job_name=base_job_name,
            sagemaker_session=sagemaker_session,
            env=env,
            tags=tags,
            network_config=network_config,
            instance_preferences=instance_preferences,
        )
        self.command = command

    def run(  # type: ignore[override]  # code comes first, as in the SDK
        self,
        code: str,
        inputs: Sequence[ProcessingInput] | None = None,
        outputs: Sequence[ProcessingOutput | str] | None = None,
        arguments: Sequence[str] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, str] | None = None,
        kms_key: str | None = None,
        *,
        script_name: str | None = None,
    ) -> ProcessingJob:
        """Run a script as a job; the other parameters and the errors are those of `Processor.run`.

        `code` is the script, or a folder with `script_name` in it: a local path, `file://`, or an S3 URI. What is local
        is uploaded to `s3://<default bucket>/<prefix>/<job name>/input/code/`; the container finds it in
        `/opt/ml/processing/input/code`.
        """
        definition = self.define_script(
            code,
            script_name=script_name,
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        return self._run(definition, wait=wait, logs=logs)

    def define_script(self, code: str, *, script_name: str | None = None, **run: Any) -> JobDefinition:
        """Give the definition of a script's job without submitting it; `run` is what `define` takes."""
        return dataclasses.replace(self.define(**run), code=code, script_name=script_name, command=self.command)


def _items(value: Sequence[Any] | str | None) -> Sequence[Any]:
    return [value] if isinstance(value, str) else value or ()


def _output(item: Any) -> Any:
    return ProcessingOutput(item) if isinstance(item, str) else item


def _objects(parameter: str, items: Sequence[Any], cls: type[_T]) -> tuple[_T, ...]:
    problems = [
        Problem(f"{parameter}[{index}]", item, f"must be a {cls.__name__}")
        for index, item in enumerate(items)
        if not isinstance(item, cls)
    ]
    if problems:
        raise DefinitionError(problems)
    return tuple(items)
