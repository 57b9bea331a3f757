"""The parameters that the processing operators have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.operators.assets import declare, declare_partial, with_uris
from airflow_sm_processing.operators.definitions import early_problems
from airflow_sm_processing.operators.folder_references import with_folder_parameters, with_folder_references
from airflow_sm_processing.operators.if_ran import with_optional_references
from airflow_sm_processing.operators.inherited import CONTRADICTABLE, inherited, own_over_inherited
from airflow_sm_processing.operators.lifecycle import JobTask
from airflow_sm_processing.operators.mode_parameters import MODE_PARAMETERS
from airflow_sm_processing.operators.parameters import DEFINITION_PARAMETERS
from airflow_sm_processing.operators.result_files import DEFAULT_MAX_RESULT_FILE_BYTES
from airflow_sm_processing.processing.values import (
    DEFAULT_MAX_CAPACITY_WAIT,
    DEFAULT_MAX_TRANSIENT_SECONDS,
    DEFAULT_POLL_INTERVAL,
    to_plain,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.processing.models import (
        InstancePreference,
        NetworkConfig,
        ProcessingInput,
        ProcessingOutput,
    )
    from airflow_sm_processing.processing.values import Late

__all__ = ["BaseProcessingOperator"]


class BaseProcessingOperator(JobTask):
    """Runs one SageMaker processing job.

    A task returns, and its XCom `return_value` is, plain JSON with `job_name`, `job_arn`, `status`, `outputs` (S3 URI
    by output name), `exit_message`, `failure_reason`, `started_at`, `ended_at`, `duration_seconds` and
    `instance_seconds`. Each output's URI is an XCom of its own, under the output's name, from submission on: so
    `task.output["train"]` can be the source of the next task's input.
    """

    template_fields: Sequence[str] = (
        "inputs",
        "outputs",
        "arguments",
        "env",
        "role",
        "image_uri",
        "instance_count",
        "instance_type",
        "instance_preferences",
        "volume_size_in_gb",
        "volume_kms_key",
        "output_kms_key",
        "max_runtime_in_seconds",
        "base_job_name",
        "job_name",
        "tags",
        "network_config",
        "experiment_config",
        "kms_key",
        "aws_conn_id",
        "region_name",
        "verify",
        "botocore_config",
        "default_bucket",
        "default_bucket_prefix",
        "poll_interval",
        "max_wait",
        "max_transient_seconds",
        "max_capacity_wait",
        "on_existing_job",
        "deferrable",
        "wait_for_completion",
        "logs",
        "on_stopped",
        "skip_on_exit_code",
        "stop_on_kill",
        "end_from_trigger",
        "mask_env",
        "result_files",
        "max_result_file_bytes",
        "emit_assets",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "instance_preferences": "json",
        "env": "json",
        "tags": "json",
        "network_config": "json",
        "inputs": "json",
        "outputs": "json",
        "arguments": "json",
        "experiment_config": "json",
        "botocore_config": "json",
        "result_files": "json",
        "skip_on_exit_code": "json",
    }
    ui_color = "#e8f1ea"

    def __init__(  # noqa: PLR0915  # each parameter is an attribute: Airflow's templating asks for it
        self,
        *,
        role: str | Late | None = None,
        image_uri: str | Late | None = None,
        instance_count: int | str | Late | None = None,
        instance_type: str | Late | None = None,
        instance_preferences: Sequence[str | Mapping[str, Any] | InstancePreference] | Late | None = None,
        volume_size_in_gb: int | str | Late = 30,
        volume_kms_key: str | Late | None = None,
        output_kms_key: str | Late | None = None,
        max_runtime_in_seconds: int | str | Late | None = None,
        base_job_name: str | Late | None = None,
        job_name: str | Late | None = None,
        env: Mapping[str, Any] | Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        network_config: NetworkConfig | Mapping[str, Any] | Late | None = None,
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | Late | None = None,
        outputs: Sequence[ProcessingOutput | Mapping[str, Any] | str] | Late | None = None,
        arguments: Sequence[Any] | Late | None = None,
        experiment_config: Mapping[str, Any] | Late | None = None,
        kms_key: str | Late | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        default_bucket: str | Late | None = None,
        default_bucket_prefix: str | Late | None = None,
        deferrable: bool | None = None,
        wait_for_completion: bool = True,
        poll_interval: float | str = DEFAULT_POLL_INTERVAL,
        max_wait: timedelta | float | str | None = None,
        max_transient_seconds: float | str = DEFAULT_MAX_TRANSIENT_SECONDS,
        max_capacity_wait: timedelta | float | str = DEFAULT_MAX_CAPACITY_WAIT,
        on_existing_job: str = "reattach",
        logs: bool | str = True,
        on_stopped: str = "fail",
        skip_on_exit_code: int | str | Collection[int | str] | None = None,
        stop_on_kill: bool | str = True,
        end_from_trigger: bool | str = False,
        mask_env: bool | str | Sequence[str] = True,
        result_files: Mapping[str, str] | Late | None = None,
        max_result_file_bytes: int | str = DEFAULT_MAX_RESULT_FILE_BYTES,
        emit_assets: bool | str = False,
        **kwargs: Any,
    ) -> None:
        """Take the parameters of the SDK's Processor and its run under their own names, and Airflow's.

        Args:
            role: The name or ARN of the IAM role that the job runs as.
            image_uri: The container image, in Amazon ECR.
            instance_count: Instances that run the container.
            instance_type: Such as `ml.m5.xlarge`.
            instance_preferences: One to five instance types in order, instead of `instance_type`.
            volume_size_in_gb: The EBS volume of each instance, in GB.
            volume_kms_key: Encrypts the volume.
            output_kms_key: Encrypts the outputs in S3.
            max_runtime_in_seconds: After that, SageMaker stops the job; its own default is 24 hours.
            base_job_name: Begins the job's name, which goes on with a digest of the task instance and the number of
                its job; the image's name if None.
            job_name: The job's name as it is; unique in the account and region. Where the task needs another job, after
                a failure or a clear, the record of its last one is deleted to free the name.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: VPC, isolation, encryption between instances.
            inputs: What the job reads. Local files are relative to the DAG file's folder, and uploaded. A source that
                is a list, such as an output of a mapped task, becomes an input for each element, in numbered folders.
                One with `optional=True` is left out if the task that it refers to was skipped.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: Of the container's command; numbers become strings.
            experiment_config: `ExperimentName`, `TrialName`, `TrialComponentDisplayName`, `RunName`.
            kms_key: Encrypts what is uploaded.
            aws_conn_id: Airflow connection; None uses boto3's own configuration chain.
            region_name: AWS region; the connection's if None.
            verify: Whether TLS certificates are checked, or the path of a CA bundle.
            botocore_config: Keyword arguments of `botocore.config.Config`.
            default_bucket: An existing bucket for local files and for outputs without a destination;
                `sagemaker-<region>-<account>`, created if missing, if None.
            default_bucket_prefix: Stands before every key in the default bucket.
            deferrable: Whether to wait in the triggerer instead of a worker; Airflow's
                `[operators] default_deferrable` if None.
            wait_for_completion: Whether the task ends with the job, or right after the submission; False goes before
                `deferrable`.
            poll_interval: Seconds between two looks at the job.
            max_wait: The longest to wait for the job, as a timedelta or in seconds; then it is stopped and the task
                fails. None leaves it to `execution_timeout` and to the job's own `max_runtime_in_seconds`.
            max_transient_seconds: How long throttling, 5xx, lost connections and answers that can't be read are waited
                out.
            max_capacity_wait: How long to wait for room when the job is created, as a timedelta or in seconds: while
                creations are throttled, a quota is used up, or AWS has no such instances. A deferrable task waits in
                the triggerer.
            on_existing_job: What a retry does with the job that an earlier try left running or completed: `reattach`
                waits for it and takes its outputs, `fail` fails the task, `new` stops it and starts another. After a
                user cleared the task it is `new` in any case.
            logs: True shows the job's log lines in the task's log while they come, deferred or not; `"tail"` shows the
                last lines of each host at the end; False shows none.
            on_stopped: What a job that was stopped makes of the task: `fail`, `skip` or `succeed`.
            skip_on_exit_code: The exit code, or codes, of the container's command that skip the task instead of failing
                it: `99` is Airflow's own choice elsewhere. SageMaker tells it in FailureReason.
            stop_on_kill: Whether the job is stopped when nobody waits for it any more: the task was marked, cleared or
                killed, its run ended, its time to wait is over, or its worker shuts down and there is no next try.
                False lets the job go on.
            end_from_trigger: Whether a deferred task whose job completes is ended by the triggerer, with the same
                XComs, instead of by a worker that would only do that. What needs a worker gets one all the same.
            mask_env: Whether the values of `env` are hidden wherever Airflow shows something of the task: in its
                rendered templates, logs, errors and result. Names hide those variables only.
            result_files: Small files that the job writes and other tasks want as values: the name of an XCom, and
                `<output name>/<path of the file>`. A `.json` file is parsed, a `.csv` file becomes a list with a dict
                for each row, any other file is text. One that isn't there or doesn't parse fails the task.
            max_result_file_bytes: The largest such file.
            emit_assets: Whether each output of a completed job is an asset event, with the job and the output's size.
                Without it, those are that `outlets` name: an alias or asset with an output's name.
            kwargs: Those of every Airflow operator.

        Raises:
            DefinitionError: Something is wrong that no run could mend: every such problem at once.
        """
        super().__init__(**kwargs)
        self.role = role
        self.image_uri = image_uri
        self.instance_count = instance_count
        self.instance_type = instance_type
        self.instance_preferences = to_plain(instance_preferences)
        self.volume_size_in_gb = volume_size_in_gb
        self.volume_kms_key = volume_kms_key
        self.output_kms_key = output_kms_key
        self.max_runtime_in_seconds = max_runtime_in_seconds
        self.base_job_name = base_job_name
        self.job_name = job_name
        self.env = env
        self.tags = tags
        self.network_config = to_plain(network_config)
        plain_inputs = to_plain(inputs)
        self.inputs = with_optional_references(with_folder_references(with_uris(plain_inputs)))
        self.outputs = to_plain(outputs)
        self.arguments = arguments
        self.experiment_config = experiment_config
        self.kms_key = kms_key
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.default_bucket = default_bucket
        self.default_bucket_prefix = default_bucket_prefix
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.max_wait = max_wait
        self.max_transient_seconds = max_transient_seconds
        self.max_capacity_wait = max_capacity_wait
        self.on_existing_job = on_existing_job
        self.logs = logs
        self.on_stopped = on_stopped
        self.skip_on_exit_code = skip_on_exit_code
        self.stop_on_kill = stop_on_kill
        self.end_from_trigger = end_from_trigger
        self.mask_env = mask_env
        self.result_files = result_files
        self.max_result_file_bytes = max_result_file_bytes
        self.emit_assets = emit_assets
        self.inherited = inherited({name: getattr(self, name) for name in CONTRADICTABLE}, kwargs.get("default_args"))
        declare(self, plain_inputs)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Begin a mapped task; `kwargs`, and what is expanded later, may hold definition objects."""
        from airflow_sm_processing.operators.mapping import ProcessingPartial

        partial = super().partial(**{name: to_plain(value) for name, value in kwargs.items()})
        declare_partial(partial.kwargs)
        partial.kwargs.update(with_folder_parameters(partial.kwargs))
        return ProcessingPartial.of(partial)

    @property
    def connection(self) -> AwsConnection:
        """Which AWS the task talks to."""
        from airflow_sm_processing.operators.connection_parameters import read_connection

        return read_connection(
            subject=f"task {self.task_id}",
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
            default_bucket=self.default_bucket,
            default_bucket_prefix=self.default_bucket_prefix,
        )

    def definition_parameters(self) -> dict[str, Any]:
        """Give the parameters that define the job, by the names of `JobDefinition`'s fields."""
        given = {name: getattr(self, name, None) for name in DEFINITION_PARAMETERS}
        return own_over_inherited(given, self.inherited)

    def mode_parameters(self) -> dict[str, Any]:
        """Give the parameters that say how the task waits, by the names of `Modes`' fields."""
        return {name: getattr(self, name) for name in MODE_PARAMETERS}

    def _check_early(self) -> None:
        """Report what is wrong whatever a run brings; called at the end of the outermost `__init__`."""
        problems = early_problems(self)
        if problems:
            raise DefinitionError(problems, subject=f"task {self.task_id}")
