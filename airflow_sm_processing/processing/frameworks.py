"""The SDK's processors for frameworks: a source folder, or a Spark application, in one of AWS's images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.processor import ScriptProcessor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.models import NetworkConfig, ProcessingInput, ProcessingOutput
    from airflow_sm_processing.processing.session import Session

__all__ = [
    "FrameworkProcessor",
    "HuggingFaceProcessor",
    "MXNetProcessor",
    "PySparkProcessor",
    "PyTorchProcessor",
    "SKLearnProcessor",
    "SparkJarProcessor",
    "TensorFlowProcessor",
    "XGBoostProcessor",
]


def _framework_image(framework: str, **asked: Any) -> str:
    """Return the URI of AWS's image for a framework, for a processor without an image of its own.

    Raises:
        DefinitionError: There is no such image.
    """
    from airflow_sm_processing.image_uris import retrieve  # not needed if the user gives an image

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
        """Set the parameters of the SDK's FrameworkProcessor.

        Args:
            estimator_cls: The framework's name, such as `pytorch`; or one of the SDK's classes that has one.
            framework_version: The version of the image, if `image_uri` is None.
            role: The name or ARN of the IAM role that the job runs as.
            instance_count: The number of instances that run the container.
            instance_type: The instance type, such as `ml.m5.xlarge`.
            py_version: The image's Python, such as `py310`, where `image_uri` is None.
            image_uri: The container image, in Amazon ECR.
            command: The command that runs the script; `["python"]` if None.
            volume_size_in_gb: The size of each instance's EBS volume, in GB.
            volume_kms_key: The KMS key that encrypts the volume.
            output_kms_key: The KMS key that encrypts the outputs in S3.
            code_location: An S3 prefix: the source goes to `<code_location>/<job name>/source/`.
            max_runtime_in_seconds: The seconds after which SageMaker stops the job; its own default is 24 hours.
            base_job_name: The part of generated job names before the timestamp; the framework's name if None.
            sagemaker_session: The AWS clients and the default bucket; from boto3's own configuration if None.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: The VPC, network isolation, and encryption between instances.
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
        """Return the framework and versions of the image, by the SDK's names for them."""
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
        """Run a script of a source folder as a job; the other parameters and the errors are those of `ScriptProcessor`.

        Args:
            code: The script: a local path, or with a `source_dir`, its path in that folder. An S3 URI is run by bash.
            source_dir: The folder: a local one, or one in S3, as a `.tar.gz` or as a prefix.
            dependencies: Local files and folders that are put beside those of the source folder in the container.
            git_config: A repository that is cloned first, and in which the paths above are: `repo`, `branch`, `commit`;
                and for https `username` and `password`, or `token`, the only one that is used with `2FA_enabled`.
            inputs: What the job reads; local files are uploaded first.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: The arguments of the script.
            wait: Whether to return only when the job has completed.
            logs: Whether to log the job's lines; only while waiting.
            job_name: Unique in the account and region; made of the base name and a timestamp if None.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            kms_key: The KMS key that encrypts uploads.
            codeartifact_repo_arn: The ARN of the CodeArtifact repository that pip installs from; the image needs the
                AWS CLI for it.
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
    """A processor for one framework, with the SDK's parameters."""

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
        """Set the parameters of the SDK's processor for this framework: see `FrameworkProcessor`."""
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
        """Set the parameters of the SDK's HuggingFaceProcessor: Transformers' version and one of the frameworks'.

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
    """Runs a script in an image of scikit-learn; as with the SDK, it isn't packed unless there is a `source_dir`."""

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
        """Set the parameters of the SDK's SKLearnProcessor; `command` is `["python3"]` if None.

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


class _SparkProcessor(ScriptProcessor):
    """Runs Spark applications in AWS's image of Spark."""

    def __init__(
        self,
        role: str | None = None,
        instance_type: str | None = None,
        instance_count: int | None = None,
        framework_version: str | None = None,
        py_version: str | None = None,
        container_version: str | None = None,
        image_uri: str | None = None,
        volume_size_in_gb: int = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        configuration_location: str | None = None,
        dependency_location: str | None = None,
        max_runtime_in_seconds: int | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Set the parameters of the SDK's Spark processors.

        Args:
            role: The name or ARN of the IAM role that the job runs as.
            instance_type: The instance type, such as `ml.m5.xlarge`.
            instance_count: The number of instances that run the container.
            framework_version: The version of Spark, such as `3.5`, where `image_uri` is None.
            py_version: The image's Python, such as `py39`; only together with `container_version`.
            container_version: The image's own version, such as `1`.
            image_uri: The container image, in Amazon ECR.
            volume_size_in_gb: The size of each instance's EBS volume, in GB.
            volume_kms_key: The KMS key that encrypts the volume.
            output_kms_key: The KMS key that encrypts the outputs in S3.
            configuration_location: An S3 prefix: the configuration goes to `<prefix>/<job name>/input/conf/`.
            dependency_location: The same for local files: they go to `<prefix>/<job name>/input/jars/` and the like.
            max_runtime_in_seconds: The seconds after which SageMaker stops the job; its own default is 24 hours.
            base_job_name: The part of generated job names before the timestamp; the image's name if None.
            sagemaker_session: The AWS clients and the default bucket; from boto3's own configuration if None.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: The VPC, network isolation, and encryption between instances.
        """
        self.configuration_location = configuration_location
        self.dependency_location = dependency_location
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
            env=env or {},
            tags=tags,
            network_config=network_config,
        )
        if not image_uri:
            if (py_version is None) != (container_version is None):
                rule = "is given without {}: an image has both in its tag, or neither"
                given, other = (
                    ("py_version", "container_version") if py_version else ("container_version", "py_version")
                )
                problem = Problem(given, py_version or container_version, rule.format(other))
                raise DefinitionError([problem], subject=type(self).__name__)
            self.image_uri = _framework_image(
                "spark",
                region=self.sagemaker_session.boto_region_name,
                version=framework_version,
                py_version=py_version,
                instance_type=instance_type,
                container_version=container_version and f"v{container_version}",
            )

    def _application(
        self,
        submit_app: Any,
        *,
        submit_class: Any = None,
        submit_py_files: Any = None,
        submit_jars: Any = None,
        submit_files: Any = None,
        configuration: Any = None,
        spark_event_logs_s3_uri: Any = None,
    ) -> dict[str, Any]:
        return {
            "submit_app": submit_app or "",
            "submit_class": submit_class,
            "submit_py_files": submit_py_files or None,
            "submit_jars": submit_jars or None,
            "submit_files": submit_files or None,
            "configuration": configuration or None,
            "spark_event_logs_s3_uri": spark_event_logs_s3_uri or None,
            "configuration_location": self.configuration_location or None,
            "dependency_location": self.dependency_location or None,
        }

    def define_application(
        self,
        submit_app: str | PurePath,
        *,
        submit_class: str | None = None,
        submit_py_files: Sequence[str | PurePath] | None = None,
        submit_jars: Sequence[str | PurePath] | None = None,
        submit_files: Sequence[str | PurePath] | None = None,
        configuration: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        spark_event_logs_s3_uri: str | None = None,
        **run: Any,
    ) -> JobDefinition:
        """Return the definition of an application's job without submitting it; `run` has `define`'s parameters."""
        application = self._application(
            submit_app,
            submit_class=submit_class,
            submit_py_files=submit_py_files,
            submit_jars=submit_jars,
            submit_files=submit_files,
            configuration=configuration,
            spark_event_logs_s3_uri=spark_event_logs_s3_uri,
        )
        return self._defined(self._of_run(**run) | application)

    def start_history_server(self, spark_event_logs_s3_uri: str | None = None) -> None:
        """Refuse to start a container on this machine, unlike the SDK, and say how to start one."""
        place = spark_event_logs_s3_uri or "<spark_event_logs_s3_uri>"
        raise NotImplementedError(
            "A history server isn't started from here. Start it with Docker, with AWS credentials in the environment: "
            "docker run --name history_server -p 80:80 -p 15050:15050 -e AWS_REGION -e AWS_ACCESS_KEY_ID "
            "-e AWS_SECRET_ACCESS_KEY -e AWS_SESSION_TOKEN --entrypoint smspark-history-server "
            f"{self.image_uri} --event-logs-s3-uri {place} (it is at http://localhost/proxy/15050)"
        )

    def terminate_history_server(self) -> None:
        """Refuse to stop a container that wasn't started from here, and say how to stop it."""
        raise NotImplementedError(
            "A history server isn't started from here. Stop one that you started with Docker: "
            "docker stop history_server && docker rm history_server"
        )


class PySparkProcessor(_SparkProcessor):
    """Runs Spark applications that are Python scripts."""

    def run(  # type: ignore[override]  # the SDK's own order
        self,
        submit_app: str | PurePath,
        submit_py_files: Sequence[str | PurePath] | None = None,
        submit_jars: Sequence[str | PurePath] | None = None,
        submit_files: Sequence[str | PurePath] | None = None,
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | None = None,
        outputs: str | Sequence[ProcessingOutput | Mapping[str, Any] | str] | None = None,
        arguments: Sequence[Any] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        spark_event_logs_s3_uri: str | None = None,
        kms_key: str | None = None,
    ) -> ProcessingJob:
        """Run an application as a job; the other parameters and the errors are those of `ScriptProcessor.run`.

        Args:
            submit_app: The script: a local path, `file://`, or an S3 URI.
            submit_py_files: Local or S3 files that Python can import: `.py`, `.zip` and `.egg`.
            submit_jars: Local or S3 jars for the classpath of the driver and the executors.
            submit_files: Local or S3 files for each executor's working directory.
            inputs: What the job reads; local files are uploaded first.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: The arguments of the script.
            wait: Whether to return only when the job has completed.
            logs: Whether to log the job's lines; only while waiting.
            job_name: Unique in the account and region; made of the base name and a timestamp if None.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            configuration: The configuration of Hadoop, Spark and Hive: one of EMR's classifications, or a list of them.
            spark_event_logs_s3_uri: The S3 URI for Spark's event logs.
            kms_key: The KMS key that encrypts uploads.
        """
        application = self._application(
            submit_app,
            submit_py_files=submit_py_files,
            submit_jars=submit_jars,
            submit_files=submit_files,
            configuration=configuration,
            spark_event_logs_s3_uri=spark_event_logs_s3_uri,
        )
        run = self._of_run(
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        return self._run(run | application, wait=wait, logs=logs)


class SparkJarProcessor(_SparkProcessor):
    """Runs Spark applications that are jars."""

    def run(  # type: ignore[override]  # the SDK's own order
        self,
        submit_app: str | PurePath,
        submit_class: str,
        submit_jars: Sequence[str | PurePath] | None = None,
        submit_files: Sequence[str | PurePath] | None = None,
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | None = None,
        outputs: str | Sequence[ProcessingOutput | Mapping[str, Any] | str] | None = None,
        arguments: Sequence[Any] | None = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        spark_event_logs_s3_uri: str | None = None,
        kms_key: str | None = None,
    ) -> ProcessingJob:
        """Run the class `submit_class` of the jar `submit_app` as a job; the rest is as in `PySparkProcessor.run`."""
        application = self._application(
            submit_app,
            submit_class=submit_class or "",
            submit_jars=submit_jars,
            submit_files=submit_files,
            configuration=configuration,
            spark_event_logs_s3_uri=spark_event_logs_s3_uri,
        )
        run = self._of_run(
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            job_name=job_name,
            experiment_config=experiment_config,
            kms_key=kms_key,
        )
        return self._run(run | application, wait=wait, logs=logs)
