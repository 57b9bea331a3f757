"""The SDK's processors, which keep the parameters that stay the same from job to job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing.definition import PROCESSOR_PARAMETERS, DefinitionReader
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.models import InstancePreference, format_tags
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.session import Session
from airflow_sm_processing.processing.validation import definition_problems, wait_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from airflow_sm_processing.exceptions import Problem
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import NetworkConfig, ProcessingInput, ProcessingOutput

__all__ = ["Processor", "ScriptProcessor"]


_DEFAULTS = {"volume_size_in_gb": 30}


class Processor:
    """Runs a container image as SageMaker processing jobs."""

    def __init__(
        self,
        role: str | None = None,
        image_uri: str | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        entrypoint: Sequence[str] | None = None,
        volume_size_in_gb: int = _DEFAULTS["volume_size_in_gb"],
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | None = None,
        *,
        instance_preferences: str | Sequence[str | Mapping[str, Any] | InstancePreference] = (),
        image: str | None = None,
    ) -> None:
        """Set the parameters of the SDK's Processor, under the same names.

        Args:
            role: The name or ARN of the IAM role that the job runs as.
            image_uri: The container image, in Amazon ECR; or one of AWS's own, such as `sklearn:1.4-2`.
            instance_count: The number of instances that run the container.
            instance_type: The instance type, such as `ml.m5.xlarge`.
            entrypoint: The command that the container runs instead of the image's own.
            volume_size_in_gb: The size of each instance's EBS volume, in GB.
            volume_kms_key: The KMS key that encrypts the volume.
            output_kms_key: The KMS key that encrypts the outputs in S3.
            max_runtime_in_seconds: The seconds after which SageMaker stops the job; its own default is 24 hours.
            base_job_name: The part of generated job names before the timestamp; the image's name if None.
            sagemaker_session: The AWS clients and the default bucket; from boto3's own configuration if None.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: The VPC, network isolation, and encryption between instances.
            instance_preferences: One to five instance types in order, instead of `instance_type`: SageMaker takes the
                first that has capacity.
            image: Instead of `image_uri`: one of AWS's own images, by framework and version, such as `sklearn:1.4-2`,
                or an image's URI.
        """
        self.role = role
        self.image = image
        self.image_uri = image_uri
        self.instance_count = instance_count
        self.instance_type = instance_type
        self.instance_preferences = _preferences(instance_preferences)
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
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | None = None,
        outputs: str | Sequence[ProcessingOutput | Mapping[str, Any] | str] | None = None,
        arguments: Sequence[Any] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, Any] | None = None,
        kms_key: str | None = None,
    ) -> ProcessingJob:
        """Run a job.

        Args:
            inputs: What the job reads; local files are uploaded first.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: The arguments of the container's command.
            wait: Whether to return only when the job has completed.
            logs: Whether to log the job's lines; only while waiting.
            job_name: Unique in the account and region; made of the base name and a timestamp if None.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            kms_key: The KMS key that encrypts uploads.

        Raises:
            DefinitionError: Something is wrong with the definition: every problem at once, before any upload.
            JobEndedError: The job failed or was stopped.
        """
        parameters = self._of_run(
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        return self._run(parameters, wait=wait, logs=logs)

    def __repr__(self) -> str:
        """Show the parameters that aren't at their defaults; the environment's values are hidden."""
        kept = {name: getattr(self, name, None) for name in (*PROCESSOR_PARAMETERS, "entrypoint", "command")}
        told = {name: value for name, value in kept.items() if value and value != _DEFAULTS.get(name)}
        if "env" in told:
            told["env"] = hidden(told["env"])
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def define(
        self,
        *,
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | None = None,
        outputs: str | Sequence[ProcessingOutput | Mapping[str, Any] | str] | None = None,
        arguments: Sequence[Any] | None = None,
        job_name: str | None = None,
        experiment_config: Mapping[str, Any] | None = None,
        kms_key: str | None = None,
    ) -> JobDefinition:
        """Return the definition of a job without submitting it; the arguments aren't changed."""
        return self._defined(
            self._of_run(
                inputs=inputs,
                outputs=outputs,
                arguments=arguments,
                job_name=job_name,
                experiment_config=experiment_config,
                kms_key=kms_key,
            )
        )

    @staticmethod
    def _of_run(
        *,
        inputs: Any = None,
        outputs: Any = None,
        arguments: Any = None,
        job_name: Any = None,
        experiment_config: Any = None,
        kms_key: Any = None,
    ) -> dict[str, Any]:
        return {
            "inputs": inputs,
            "outputs": _items(outputs),
            "arguments": arguments,
            "job_name": job_name,
            "experiment_config": experiment_config,
            "kms_key": kms_key,
        }

    def _defined(self, run: Mapping[str, Any]) -> JobDefinition:
        definition, problems = self._read(run)
        if problems:
            raise DefinitionError([*problems, *definition_problems(definition)])
        return definition

    def _read(self, run: Mapping[str, Any]) -> tuple[JobDefinition, list[Problem]]:
        reader = DefinitionReader()
        lasting = {name: getattr(self, name) for name in (*PROCESSOR_PARAMETERS, "entrypoint")}
        return reader.read({**lasting, **run}), reader.problems

    def _run(self, parameters: Mapping[str, Any], *, wait: bool, logs: bool) -> ProcessingJob:
        definition, problems = self._read(parameters)
        job = ProcessingJob.submit(
            definition, self.sagemaker_session, extra_problems=[*problems, *wait_problems(wait=wait, logs=logs)]
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
        env: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | None = None,
        *,
        instance_preferences: str | Sequence[str | Mapping[str, Any] | InstancePreference] = (),
        image: str | None = None,
    ) -> None:
        """Set the parameters of the SDK's ScriptProcessor; `command` runs the script, such as `["python3", "-u"]`.

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
            image=image,
        )
        self.command = command

    def run(  # type: ignore[override]  # code comes first, as in the SDK
        self,
        code: str | PurePath,
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | None = None,
        outputs: str | Sequence[ProcessingOutput | Mapping[str, Any] | str] | None = None,
        arguments: Sequence[Any] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, Any] | None = None,
        kms_key: str | None = None,
        *,
        script_name: str | None = None,
        source_dir: str | PurePath | None = None,
        dependencies: Sequence[str | PurePath] | None = None,
        requirements: str | PurePath | Sequence[str] | None = None,
        git_config: Mapping[str, Any] | None = None,
        codeartifact_repo_arn: str | None = None,
    ) -> ProcessingJob:
        """Run a script as a job.

        `code` is the script, or a folder with `script_name` in it: a local path, `file://`, or an S3 URI. Local code is
        uploaded to `s3://<default bucket>/<prefix>/<job name>/input/code/`; in the container, it is in
        `/opt/ml/processing/input/code`.

        With a `source_dir`, `code` is the script's path in that folder. The folder is uploaded as one archive to
        `s3://<default bucket>/<prefix>/<job name>/source/`, and is unpacked in the container before the script runs in
        it. It may be in S3 already, as a `.tar.gz` or as a prefix. `dependencies` are local files and folders that are
        put beside those of the folder; `requirements` is what pip installs first, as the lines of a requirements file
        or as the path of one. Files that match `.sagemakerignore` aren't sent.

        With a `git_config`, the SDK's dict of `repo`, `branch`, `commit`, `username`, `password`, `token` and
        `2FA_enabled`, all of these are paths in that repository, which is cloned first. With the ARN of a CodeArtifact
        repository, pip installs the requirements from there; the image needs the AWS CLI for it.

        Args:
            code: The script, or its path in the source folder.
            inputs: What the job reads; local files are uploaded first.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: The arguments of the script.
            wait: Whether to return only when the job has completed.
            logs: Whether to log the job's lines; only while waiting.
            job_name: Unique in the account and region; made of the base name and a timestamp if None.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            kms_key: The KMS key that encrypts uploads.
            script_name: The script's path in the folder, if `code` is a folder.
            source_dir: A folder that is sent as one archive, and in which the script runs.
            dependencies: Local files and folders that are put beside those of the source folder in the container.
            requirements: The lines of a requirements file, or the path of one, which pip installs first.
            git_config: The repository that `code` and the others are paths in.
            codeartifact_repo_arn: The ARN of the CodeArtifact repository that pip uses.

        Raises:
            DefinitionError: Something is wrong with the definition: every problem at once, before any upload.
            UploadError: A local file can't be sent, or the repository can't be cloned.
            JobEndedError: The job failed or was stopped.
        """
        parameters = self._of_run(
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        script = self._script(
            code=code,
            script_name=script_name,
            source_dir=source_dir,
            dependencies=dependencies,
            requirements=requirements,
            git_config=git_config,
            codeartifact_repo_arn=codeartifact_repo_arn,
        )
        return self._run(parameters | script, wait=wait, logs=logs)

    def define_script(
        self,
        code: str | PurePath,
        *,
        script_name: str | None = None,
        source_dir: str | PurePath | None = None,
        dependencies: Sequence[str | PurePath] | None = None,
        requirements: str | PurePath | Sequence[str] | None = None,
        git_config: Mapping[str, Any] | None = None,
        codeartifact_repo_arn: str | None = None,
        **run: Any,
    ) -> JobDefinition:
        """Return the definition of a script's job without submitting it; `run` has `define`'s parameters."""
        script = self._script(
            code=code,
            script_name=script_name,
            source_dir=source_dir,
            dependencies=dependencies,
            requirements=requirements,
            git_config=git_config,
            codeartifact_repo_arn=codeartifact_repo_arn,
        )
        return self._defined(self._of_run(**run) | script)

    def _script(self, **given: Any) -> dict[str, Any]:
        return {**given, "command": self.command}


def _preferences(value: Any) -> Any:
    items = _items(value)
    return items if isinstance(items, str) else tuple(InstancePreference.parse(item) for item in items or ())


def _items(value: Any) -> Any:
    """Return a string as the only item of a list, unless it is a list in JSON."""
    return [value] if isinstance(value, str) and not value.lstrip().startswith("[") else value
