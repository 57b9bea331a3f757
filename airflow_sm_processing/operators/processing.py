"""The operators, for a container image as a processing job, a script in one, and a Spark application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.outputs import with_folder_references
from airflow_sm_processing.operators.templating import LATE, hide_unresolved
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from typing_extensions import Self, Unpack

    from airflow_sm_processing.operators.base import ProcessingParameters
    from airflow_sm_processing.processing.values import Late

__all__ = ["ProcessingOperator", "ScriptProcessingOperator", "SparkProcessingOperator"]


class ProcessingOperator(BaseProcessingOperator):
    """Runs a container image as a SageMaker processing job: the SDK's `Processor` as a task."""

    processor_parameters = ("entrypoint",)
    template_fields: Sequence[str] = ("entrypoint", *BaseProcessingOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **BaseProcessingOperator.template_fields_renderers,
        "entrypoint": "json",
    }

    def __init__(
        self, *, entrypoint: Sequence[str] | Late | None = None, **kwargs: Unpack[ProcessingParameters]
    ) -> None:
        """Set the parameters of every processing operator, and the entrypoint.

        Args:
            entrypoint: The command that the container runs instead of the image's own.
            kwargs: The common parameters of all processing operators.
        """
        super().__init__(**kwargs)
        self.entrypoint = entrypoint
        self._check_early()

    @classmethod
    def from_request(cls, request: Mapping[str, Any], **parameters: Any) -> Self:
        """Return a task for a CreateProcessingJob request, as boto3 or the amazon provider's operator takes it.

        Args:
            request: The request. Its values may be templates and outputs of other tasks. A `ProcessingJobName` without
                a template becomes the `base_job_name`, because a second run can't use the same name.
            parameters: The operator's own parameters, such as `task_id`, which override the request.

        Raises:
            DefinitionError: The request has members that CreateProcessingJob doesn't have.
        """
        from airflow_sm_processing.processing.definition import request_parameters  # few tasks have a request

        given = request_parameters(request)
        name = given.pop("job_name", None)
        if name is not None:
            given["job_name" if hide_unresolved(name) is LATE else "base_job_name"] = name
        return cls(**{**given, **parameters})


class ScriptProcessingOperator(BaseProcessingOperator):
    """Runs a script in a container image as a SageMaker processing job: the SDK's `ScriptProcessor` as a task."""

    processor_parameters = ("command",)
    template_fields: Sequence[str] = (
        "code",
        "script_name",
        "source_dir",
        "dependencies",
        "requirements",
        "git_config",
        "codeartifact_repo_arn",
        "command",
        *BaseProcessingOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **BaseProcessingOperator.template_fields_renderers,
        "command": "json",
        "dependencies": "json",
        "requirements": "json",
        "git_config": "json",
    }

    def __init__(
        self,
        *,
        code: str | PurePath | Late = "",
        command: Sequence[str] | Late = ("python3",),
        script_name: str | Late | None = None,
        source_dir: str | PurePath | Late | None = None,
        dependencies: Sequence[str | PurePath] | Late | None = None,
        requirements: str | PurePath | Sequence[str] | Late | None = None,
        git_config: Mapping[str, Any] | Late | None = None,
        codeartifact_repo_arn: str | Late | None = None,
        **kwargs: Unpack[ProcessingParameters],
    ) -> None:
        """Set the parameters of every processing operator, and the script.

        Args:
            code: The script, or a folder with `script_name` in it: a path relative to the DAG file's folder, an
                absolute path, `file://` or `s3://`. Local files are uploaded.
            command: The command that runs the script.
            script_name: The script's path in the folder, if `code` is a folder.
            source_dir: A folder that is sent as one archive, and in which the script runs; `code` is a path in it. A
                path relative to the DAG file's folder, an absolute path, `file://`, or in S3 a `.tar.gz` or a prefix.
            dependencies: Local files and folders that are put beside those of the source folder in the container.
            requirements: What pip installs in the container first: the lines of a requirements file, or the path of
                one, relative to the DAG file's folder.
            git_config: The git repository that `code`, `source_dir`, `dependencies` and `requirements` are paths in;
                it is cloned when the job is created. The SDK's dict of `repo`, `branch`, `commit`, and for https
                `username` and `password`, or `token`, the only one that is used with `2FA_enabled`. The password and
                the token are masked wherever Airflow shows something of the task.
            codeartifact_repo_arn: The ARN of the CodeArtifact repository that pip installs the requirements from. The
                image needs the AWS CLI for that, and the job's role the permission.
            kwargs: The common parameters of all processing operators.
        """
        super().__init__(**kwargs)
        self.code = with_folder_references(to_plain(code), "code")
        self.command = command
        self.script_name = script_name
        self.source_dir = with_folder_references(to_plain(source_dir), "source_dir")
        self.dependencies = to_plain(dependencies)
        self.requirements = to_plain(requirements)
        self.git_config = to_plain(git_config)
        self.codeartifact_repo_arn = codeartifact_repo_arn
        self._check_early()


class SparkProcessingOperator(BaseProcessingOperator):
    """Runs a Spark application in AWS's image: the SDK's `PySparkProcessor` or `SparkJarProcessor` as a task."""

    template_fields: Sequence[str] = (
        "submit_app",
        "submit_class",
        "submit_py_files",
        "submit_jars",
        "submit_files",
        "configuration",
        "spark_event_logs_s3_uri",
        *BaseProcessingOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **BaseProcessingOperator.template_fields_renderers,
        "submit_py_files": "json",
        "submit_jars": "json",
        "submit_files": "json",
        "configuration": "json",
    }

    def __init__(
        self,
        *,
        submit_app: str | PurePath | Late = "",
        submit_class: str | Late | None = None,
        submit_py_files: Sequence[str | PurePath] | Late | None = None,
        submit_jars: Sequence[str | PurePath] | Late | None = None,
        submit_files: Sequence[str | PurePath] | Late | None = None,
        configuration: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        spark_event_logs_s3_uri: str | Late | None = None,
        **kwargs: Unpack[ProcessingParameters],
    ) -> None:
        """Set the parameters of every processing operator, and the application.

        Args:
            submit_app: The script, or the jar: a path relative to the DAG file's folder, an absolute path, `file://` or
                `s3://`. Local files are uploaded.
            submit_class: The main class of a jar.
            submit_py_files: Local or S3 files that Python can import: `.py`, `.zip` and `.egg`.
            submit_jars: Local or S3 jars for the classpath of the driver and the executors.
            submit_files: Local or S3 files for each executor's working directory.
            configuration: The configuration of Hadoop, Spark and Hive in EMR's form: a dict with `Classification` and
                `Properties`, or a list of such dicts.
            spark_event_logs_s3_uri: The S3 URI that Spark's event logs are written to while the application runs; they
                are an output of the job.
            kwargs: The common parameters of all processing operators; `image="spark:3.5"` is AWS's image of that
                version.
        """
        super().__init__(**kwargs)
        self.submit_app = to_plain(submit_app)
        self.submit_class = submit_class
        self.submit_py_files = to_plain(submit_py_files)
        self.submit_jars = to_plain(submit_jars)
        self.submit_files = to_plain(submit_files)
        self.configuration = configuration
        self.spark_event_logs_s3_uri = spark_event_logs_s3_uri
        self._check_early()
