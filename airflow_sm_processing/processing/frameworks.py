"""The SDK's processors of frameworks: a source folder in one of AWS's images of PyTorch, scikit-learn and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.processor import ScriptProcessor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.models import NetworkConfig, ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.session import Session

__all__ = [
    "FrameworkProcessor",
    "HuggingFaceProcessor",
    "MXNetProcessor",
    "PyTorchProcessor",
    "SKLearnProcessor",
    "TensorFlowProcessor",
    "XGBoostProcessor",
]


def _framework_image(framework: str, **asked: Any) -> str:
    """Return the URI of AWS's image of a framework, for a processor that was given none.

    Raises:
        DefinitionError: There is no such image.
    """
    from airflow_sm_processing.image_uris import retrieve  # whoever gives an image has no need of its tables

    return retrieve(framework, **asked)


class FrameworkProcessor(ScriptProcessor):
    """Runs a script, with the folder that it is in, in the image of a framework."""

    def __init__(
        self,
        estimator_cls: Any,
        framework_version: str | None,
        role: str | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        py_version: str = "py3",
        image_uri: str | None = None,
        command: Sequence[str] | None = None,
        volume_size_in_gb: int = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        code_location: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Accept what the SDK's FrameworkProcessor takes.

        Args:
            estimator_cls: The framework's name, such as `pytorch`; or a class of the SDK's that has one.
            framework_version: Of the image, where `image_uri` is None.
            role: The name or ARN of the IAM role that the job runs as.
            instance_count: Instances that run the container.
            instance_type: Such as `ml.m5.xlarge`.
            py_version: The image's Python, such as `py310`, where `image_uri` is None.
            image_uri: The container image, in Amazon ECR.
            command: Runs the script; `["python"]` if None.
            volume_size_in_gb: The EBS volume of each instance, in GB.
            volume_kms_key: Encrypts the volume.
            output_kms_key: Encrypts the outputs in S3.
            code_location: An S3 prefix: the source goes to `<code_location>/<job name>/source/`.
            max_runtime_in_seconds: After that, SageMaker stops the job; its own default is 24 hours.
            base_job_name: Stands before the timestamp in generated job names; the framework's name if None.
            sagemaker_session: AWS clients and the default bucket; made from boto3's own configuration if None.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: VPC, isolation, encryption between instances.
        """
        framework = estimator_cls if isinstance(estimator_cls, str) else getattr(estimator_cls, "_framework_name", None)
        if not framework:
            rule = "must be a framework's name, such as pytorch, or a class that has one"
            raise DefinitionError([Problem("estimator_cls", estimator_cls, rule)], subject=type(self).__name__)
        self.estimator_cls = estimator_cls
        self.framework_version = framework_version
        self.py_version = py_version
        self.code_location = code_location.removesuffix("/") if code_location else code_location
        super().__init__(
            role=role,
            image_uri=image_uri,
            command=command or ["python"],
            instance_count=instance_count,
            instance_type=instance_type,
            volume_size_in_gb=volume_size_in_gb,
            volume_kms_key=volume_kms_key,
            output_kms_key=output_kms_key,
            max_runtime_in_seconds=max_runtime_in_seconds,
            base_job_name=framework if base_job_name is None else base_job_name,
            sagemaker_session=sagemaker_session,
            env=env,
            tags=tags,
            network_config=network_config,
        )
        if image_uri is None:
            self.image_uri = _framework_image(framework, **self._image())

    def _image(self) -> dict[str, Any]:
        """Return what the image is to be of, by the names that the SDK has for it."""
        return {
            "region": self.sagemaker_session.boto_region_name,
            "version": self.framework_version,
            "py_version": self.py_version,
            "instance_type": self.instance_type,
        }

    def run(  # type: ignore[override]  # the SDK's own order
        self,
        code: str | PurePath,
        source_dir: str | PurePath | None = None,
        dependencies: Sequence[str | PurePath] | None = None,
        git_config: Mapping[str, Any] | None = None,
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | None = None,
        outputs: str | Sequence[ProcessingOutput | Mapping[str, Any] | str] | None = None,
        arguments: Sequence[Any] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, Any] | None = None,
        kms_key: str | None = None,
        codeartifact_repo_arn: str | None = None,
        *,
        requirements: str | PurePath | Sequence[str] | None = None,
    ) -> ProcessingJob:
        """Run a script of a source folder as a job; the other parameters and the errors are `ScriptProcessor.run`'s.

        Args:
            code: The script: a local path, or with a `source_dir` its path in there. An S3 URI is run by bash.
            source_dir: The folder: a local one, or one in S3, as a `.tar.gz` or as a prefix.
            dependencies: Local files and folders that lie beside the source folder's own in the container.
            git_config: A repository that is cloned first, and that the paths before are in: `repo`, `branch`, `commit`;
                and for https `username` and `password`, or `token`, which alone counts with `2FA_enabled`.
            inputs: What the job reads; local files are uploaded first.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: Of the script.
            wait: Whether to return only when the job has completed.
            logs: Whether to log the job's lines; only while waiting.
            job_name: Unique in the account and region; made of the base name and a timestamp if None.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            kms_key: Encrypts what is uploaded.
            codeartifact_repo_arn: The ARN of the CodeArtifact repository that pip installs from, if the image has the
                AWS CLI.
            requirements: What pip installs instead of the folder's own `requirements.txt`.
        """
        return super().run(
            code,
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            wait=wait,
            logs=logs,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
            source_dir=source_dir,
            dependencies=dependencies,
            requirements=requirements,
            git_config=git_config,
            codeartifact_repo_arn=codeartifact_repo_arn,
        )

    def _script(self, **given: Any) -> dict[str, Any]:
        return {**super()._script(**given), "is_framework": True, "code_location": self.code_location}


class _NamedFrameworkProcessor(FrameworkProcessor):
    """A processor of one framework, whose parameters are the SDK's."""

    framework: str

    def __init__(
        self,
        framework_version: str,
        role: str | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        py_version: str = "py3",
        image_uri: str | None = None,
        command: Sequence[str] | None = None,
        volume_size_in_gb: int = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        code_location: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Accept what the SDK's processor of this framework takes: see `FrameworkProcessor`."""
        super().__init__(
            self.framework,
            framework_version,
            role,
            instance_count,
            instance_type,
            py_version,
            image_uri,
            command,
            volume_size_in_gb,
            volume_kms_key,
            output_kms_key,
            code_location,
            max_runtime_in_seconds,
            base_job_name,
            sagemaker_session,
            env,
            tags,
            network_config,
        )


class PyTorchProcessor(_NamedFrameworkProcessor):
    """Runs a script in an image of PyTorch."""

    framework = "pytorch"


class TensorFlowProcessor(_NamedFrameworkProcessor):
    """Runs a script in an image of TensorFlow."""

    framework = "tensorflow"


class XGBoostProcessor(_NamedFrameworkProcessor):
    """Runs a script in an image of XGBoost."""

    framework = "xgboost"


class MXNetProcessor(_NamedFrameworkProcessor):
    """Runs a script in an image of Apache MXNet."""

    framework = "mxnet"


class HuggingFaceProcessor(FrameworkProcessor):
    """Runs a script in an image of Hugging Face's Transformers."""

    def __init__(
        self,
        role: str | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        transformers_version: str | None = None,
        tensorflow_version: str | None = None,
        pytorch_version: str | None = None,
        py_version: str = "py36",
        image_uri: str | None = None,
        command: Sequence[str] | None = None,
        volume_size_in_gb: int = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        code_location: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Accept what the SDK's HuggingFaceProcessor takes: one of the two frameworks' versions beside Transformers'.

        The other parameters are those of `FrameworkProcessor`.
        """
        self.tensorflow_version = tensorflow_version
        self.pytorch_version = pytorch_version
        super().__init__(
            "huggingface",
            transformers_version,
            role,
            instance_count,
            instance_type,
            py_version,
            image_uri,
            command,
            volume_size_in_gb,
            volume_kms_key,
            output_kms_key,
            code_location,
            max_runtime_in_seconds,
            base_job_name,
            sagemaker_session,
            env,
            tags,
            network_config,
        )

    def _image(self) -> dict[str, Any]:
        base = f"tensorflow{self.tensorflow_version}" if self.tensorflow_version else f"pytorch{self.pytorch_version}"
        return {**super()._image(), "base_framework_version": base}


class SKLearnProcessor(ScriptProcessor):
    """Runs a script in an image of scikit-learn; it isn't packed, as with the SDK, unless a `source_dir` is given."""

    def __init__(
        self,
        framework_version: str,
        role: str | None = None,
        instance_count: int | None = None,
        instance_type: str | None = None,
        command: Sequence[str] | None = None,
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
        image_uri: str | None = None,
    ) -> None:
        """Accept what the SDK's SKLearnProcessor takes; `command` is `["python3"]` if None.

        The other parameters are those of `ScriptProcessor`.
        """
        super().__init__(
            role=role,
            image_uri=image_uri,
            command=command or ["python3"],
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
        )
        if image_uri is None:
            asked = {"version": framework_version, "instance_type": instance_type}
            self.image_uri = _framework_image("sklearn", region=self.sagemaker_session.boto_region_name, **asked)
