"""The operator that runs a processing job: its parameters, and what Airflow calls."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.operators.outputs import (
    AssetOutlets,
    TaskOutput,
    declare,
    declare_partial,
    outputs_alias,
    plain_parameter,
    with_folder_parameters,
    with_folder_references,
    with_optional_references,
    with_uris,
)
from airflow_sm_processing.operators.parameters import (
    CONTRADICTABLE,
    DEFINITION_PARAMETERS,
    MASK_PARAMETER,
    WAIT_PARAMETERS,
    TaskParameters,
    early_problems,
    inherited,
    job_secrets,
    legal_name,
    mask_in_airflow,
    misnamed_parameters,
    own_over_inherited,
    paths_as_written,
    read_connection,
    read_definition,
    read_wait_options,
    refuse_misnamed,
    trigger_mask,
    warn_of_misspelt_defaults,
    with_base_name,
    with_misnamed,
)
from airflow_sm_processing.operators.templating import (
    RecordedTemplate,
    as_bool,
    has_template,
    hide_unresolved,
    render_fields,
    template_problems,
)
from airflow_sm_processing.processing.values import (
    DEFAULT_MAX_CAPACITY_WAIT,
    DEFAULT_MAX_TRANSIENT_SECONDS,
    DEFAULT_POLL_INTERVAL,
    to_plain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import DAG, Context, TaskGroup
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from jinja2 import Environment, Template
    from typing_extensions import Self, TypedDict, Unpack

    from airflow_sm_processing.exceptions import JobFailedError, Problem
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.links import ConsoleLink
    from airflow_sm_processing.operators.acquire import EndedJob, RunSettings
    from airflow_sm_processing.operators.job_run import JobRun
    from airflow_sm_processing.operators.parameters import WaitOptions
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.models import (
        InstancePreference,
        NetworkConfig,
        ProcessingInput,
        ProcessingOutput,
    )
    from airflow_sm_processing.processing.secrets import JobSecrets
    from airflow_sm_processing.processing.values import Late

    # The types of `**kwargs`, only for editors and type checkers: none of this is loaded when a DAG file is parsed.

    class AirflowParameters(TypedDict, total=False):
        """The parameters of every operator of Airflow."""

        task_id: str
        owner: str
        email: str | Sequence[str] | None
        email_on_retry: bool
        email_on_failure: bool
        retries: int | None
        retry_delay: timedelta | float
        retry_exponential_backoff: float
        max_retry_delay: timedelta | float | None
        retry_policy: Any
        start_date: datetime | None
        end_date: datetime | None
        depends_on_past: bool
        ignore_first_depends_on_past: bool
        wait_for_past_depends_before_skipping: bool
        wait_for_downstream: bool
        dag: DAG | None
        params: MutableMapping[str, Any] | None
        default_args: dict[str, Any] | None
        priority_weight: int
        weight_rule: Any
        queue: str
        pool: str | None
        pool_slots: int
        sla: timedelta | None
        execution_timeout: timedelta | None
        on_execute_callback: Any
        on_failure_callback: Any
        on_success_callback: Any
        on_retry_callback: Any
        on_skipped_callback: Any
        pre_execute: Callable[[Context], None] | None
        post_execute: Callable[[Context, Any], None] | None
        trigger_rule: str
        resources: dict[str, Any] | None
        run_as_user: str | None
        map_index_template: str | None
        max_active_tis_per_dag: int | None
        max_active_tis_per_dagrun: int | None
        executor: str | None
        executor_config: dict[str, Any] | None
        do_xcom_push: bool
        multiple_outputs: bool
        inlets: Any
        outlets: Any
        task_group: TaskGroup | None
        doc: str | None
        doc_md: str | None
        doc_json: str | None
        doc_yaml: str | None
        doc_rst: str | None
        task_display_name: str | None
        logger_name: str | None
        allow_nested_operators: bool
        render_template_as_native_obj: bool | None

    class ProcessingParameters(AirflowParameters, total=False):
        """The parameters of every processing operator: those of `BaseProcessingOperator`."""

        role: str | Late | None
        image: str | Late | None
        image_uri: str | Late | None
        instance_count: int | str | Late | None
        instance_type: str | Late | None
        instance_preferences: Sequence[str | Mapping[str, Any] | InstancePreference] | Late | None
        volume_size_in_gb: int | str | Late
        volume_kms_key: str | Late | None
        output_kms_key: str | Late | None
        max_runtime_in_seconds: int | str | Late | None
        base_job_name: str | Late | None
        job_name: str | Late | None
        env: Mapping[str, Any] | Late | None
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None
        network_config: NetworkConfig | Mapping[str, Any] | Late | None
        inputs: Sequence[ProcessingInput | Mapping[str, Any]] | Late | None
        outputs: Sequence[ProcessingOutput | Mapping[str, Any] | str] | Late | None
        arguments: Sequence[Any] | Late | None
        experiment_config: Mapping[str, Any] | Late | None
        kms_key: str | Late | None
        aws_conn_id: str | None
        region_name: str | None
        verify: bool | str | None
        botocore_config: dict[str, Any] | None
        default_bucket: str | Late | None
        default_bucket_prefix: str | Late | None
        deferrable: bool | None
        wait_for_completion: bool
        poll_interval: float | str | None
        max_wait: timedelta | float | str | None
        max_transient_seconds: float | str
        max_capacity_wait: timedelta | float | str
        on_existing_job: str
        logs: bool | str
        on_stopped: str
        skip_on_exit_code: int | str | Collection[int | str] | None
        stop_on_kill: bool | str
        end_from_trigger: bool | str
        mask_env: bool | str | Sequence[str]
        result_files: Mapping[str, str] | Late | None
        max_result_file_bytes: int | str
        emit_assets: bool | str


__all__ = ["DEFAULT_MAX_RESULT_FILE_BYTES", "BaseProcessingOperator"]

DEFAULT_MAX_RESULT_FILE_BYTES = 256 * 1024
"""More than most result files have, and small enough for a row of Airflow's database."""
_OWN_XCOM = "airflow.sdk.execution_time.xcom.BaseXCom"


class _JobLinks:
    """The links of a task's job, loaded when they are first read: a worker that parses a DAG file reads none."""

    def __get__(self, task: object, owner: type) -> Collection[ConsoleLink]:
        from airflow_sm_processing.links import JOB_LINKS

        return JOB_LINKS


class BaseProcessingOperator(BaseOperator):
    """Runs one SageMaker processing job.

    A task returns plain JSON with `job_name`, `job_arn`, `status`, `outputs` (S3 URI by output name), `exit_message`,
    `failure_reason`, `started_at`, `ended_at`, `duration_seconds` and `instance_seconds`. At submission, it also pushes
    each output's URI as an XCom under the output's name, so `task.output["train"]` can be the source of the next task's
    input.
    """

    template_fields: Sequence[str] = (
        "inputs",
        "outputs",
        "arguments",
        "env",
        "role",
        "image",
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
    operator_extra_links = _JobLinks()
    own_outputs: Sequence[str] = ()
    """The names of outputs that a task of this kind reads itself when its job has ended."""
    processor_parameters: Sequence[str] = ()
    """The parameters that a processor of this kind keeps from job to job, besides those of every processor."""
    needs_worker: str | None = None
    """Why a task of this kind can't be ended by its trigger; None if it can."""
    written: Mapping[str, Any] = MappingProxyType({})
    """The templated fields as written in the DAG file; set when the fields are rendered."""
    _run: JobRun | None = None
    _killed = False  # whether the process was told to end before there was a run

    def __init__(  # noqa: PLR0915  # each parameter is an attribute: Airflow's templating asks for it
        self,
        *,
        role: str | Late | None = None,
        image: str | Late | None = None,
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
        poll_interval: float | str | None = None,
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
        **kwargs: Unpack[AirflowParameters],
    ) -> None:
        """Set the parameters of the SDK's Processor and of its run, under their own names, and Airflow's.

        Args:
            role: The name or ARN of the IAM role that the job runs as.
            image: One of AWS's own images, by framework and version, such as `sklearn:1.4-2`; its URI follows from the
                region when the task runs. Or an image's URI.
            image_uri: The container image, in Amazon ECR, instead of `image`.
            instance_count: The number of instances that run the container.
            instance_type: The instance type, such as `ml.m5.xlarge`.
            instance_preferences: One to five instance types in order of preference, instead of `instance_type`.
            volume_size_in_gb: The size of each instance's EBS volume, in GB.
            volume_kms_key: The KMS key that encrypts the volume.
            output_kms_key: The KMS key that encrypts the outputs in S3.
            max_runtime_in_seconds: The number of seconds after which SageMaker stops the job; its own default is 24
                hours.
            base_job_name: The beginning of the job's name, before a digest of the task instance and the number of its
                job; the DAG's and the task's ID if None.
            job_name: The whole name of the job, unique in the account and region. If the task needs another job, after
                a failure or a clear, the record of its last one is deleted to free the name.
            env: Environment variables of the container.
            tags: A dict, or a list of `{"Key": …, "Value": …}`.
            network_config: The VPC, network isolation, and encryption between instances.
            inputs: What the job reads. Local files are relative to the DAG file's folder, and are uploaded. A source
                that is a list, such as an output of a mapped task, becomes one input per element, in numbered folders.
                An input with `optional=True` is left out if the task that it refers to was skipped.
            outputs: What the job writes; a string is the container path of an output in the default bucket.
            arguments: The arguments of the container's command; numbers become strings.
            experiment_config: A dict of `ExperimentName`, `TrialName`, `TrialComponentDisplayName` and `RunName`.
            kms_key: The KMS key that encrypts uploads.
            aws_conn_id: Airflow connection; None uses boto3's own configuration chain.
            region_name: AWS region; the connection's if None.
            verify: Whether TLS certificates are checked, or the path of a CA bundle.
            botocore_config: Keyword arguments of `botocore.config.Config`.
            default_bucket: An existing bucket for local files and for outputs without a destination;
                `sagemaker-<region>-<account>`, created if missing, if None.
            default_bucket_prefix: The beginning of every key in the default bucket.
            deferrable: Whether to wait in the triggerer instead of a worker; Airflow's
                `[operators] default_deferrable` if None.
            wait_for_completion: Whether the task ends with the job; False ends it right after the submission, whatever
                `deferrable` says.
            poll_interval: How often the job's status and log are polled, in seconds; `[sm_processing] poll_interval` if
                None, which is 10 by default.
            max_wait: How long to wait for the job, as a timedelta or in seconds; then the job is stopped and the task
                fails. None sets no limit besides `execution_timeout` and the job's own `max_runtime_in_seconds`.
            max_transient_seconds: How long to retry throttling, 5xx errors, lost connections and unreadable responses,
                in seconds.
            max_capacity_wait: How long to wait for capacity to create the job, as a timedelta or in seconds: while
                submissions are throttled, a quota is used up, or AWS has no free instances. A deferrable task waits in
                the triggerer.
            on_existing_job: What a retry does with a job of an earlier try that still runs or has completed:
                `reattach` waits for it and uses its outputs, `fail` fails the task, `new` stops it and creates another.
                After a user has cleared the task, it is always `new`.
            logs: True shows the job's log lines in the task's log as they are written, deferred or not; `"tail"` shows
                the last lines of each host at the end; False shows none.
            on_stopped: How the task ends if its job was stopped: `fail`, `skip` or `succeed`.
            skip_on_exit_code: The exit code of the container's command, or several, that skip the task instead of
                failing it, such as `99`, Airflow's own choice elsewhere. SageMaker reports it in FailureReason.
            stop_on_kill: Whether the job is stopped when the task stops waiting for it: because the task was marked,
                cleared or killed, its run ended, a timeout was reached, or its worker shut down and no retry is left.
                False lets the job go on.
            end_from_trigger: Whether the triggerer ends a deferred task whose job completed, with the same XComs,
                without a worker. Tasks that need a worker still get one.
            mask_env: Whether the values of `env` are hidden in rendered templates, logs, errors and results; or a list
                of the variables to hide.
            result_files: Small output files that become XComs: the XCom's name, and `<output name>/<path of the
                file>`. A `.json` file is parsed, a `.csv` file becomes a list with a dict per row, any other file is
                text. A file that is missing or doesn't parse fails the task.
            max_result_file_bytes: The size limit of each result file, in bytes.
            emit_assets: Whether each output of a completed job is an asset event, with the job and the output's size.
                If False, only outputs whose names are those of aliases or assets in `outlets` are.
            kwargs: The parameters of every Airflow operator.

        Raises:
            DefinitionError: Something is wrong that doesn't depend on a run; all such problems at once.
        """
        given: Any = kwargs
        self.misnamed = misnamed_parameters(type(self), given)
        super().__init__(**{name: value for name, value in given.items() if name not in self.misnamed})
        self.role = role
        self.image = image
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
        plain_inputs = plain_parameter("inputs", inputs)
        self.inputs = with_optional_references(with_folder_references(with_uris(plain_inputs)))
        self.outputs = plain_parameter("outputs", outputs)
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
        warn_of_misspelt_defaults(type(self), kwargs.get("default_args"))
        declare(self, plain_inputs)

    @classmethod
    def from_processor(cls, processor: Any, **parameters: Any) -> Self:
        """Return a task for a processor of this kind: this package's, or the SageMaker SDK's, v2 or v3.

        Args:
            processor: The processor, whose parameters are used, but not its session or its credentials.
            parameters: The operator's own parameters, such as `task_id` and `inputs`, which override the processor's.
        """
        from airflow_sm_processing.processing.definition import PROCESSOR_PARAMETERS  # few tasks have one

        names = (*PROCESSOR_PARAMETERS, *cls.processor_parameters)
        kept = {name: value for name in names if (value := getattr(processor, name, None))}
        return cls(**{**kept, **parameters})

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Begin a mapped task; `kwargs`, and what is expanded later, may hold definition objects."""
        from airflow_sm_processing.operators.mapping import ProcessingPartial

        cls.check_names(kwargs, task_id=kwargs.get("task_id"))
        partial = super().partial(**{name: plain_parameter(name, value) for name, value in kwargs.items()})
        declare_partial(partial.kwargs)
        partial.kwargs.update(with_folder_parameters(partial.kwargs))
        return ProcessingPartial.of(partial)

    @classmethod
    def check_names(cls, given: Mapping[str, Any], *, task_id: Any) -> None:
        """Refuse parameters that have another name here, or are misspelt, and say which was meant.

        Raises:
            DefinitionError: There are such parameters; it names them all.
        """
        refuse_misnamed(cls, given, task_id=task_id)

    @property
    def output(self) -> PlainXComArg:
        """A reference to the task's result; `output["train"]` refers to the S3 URI of the output `train`."""
        return TaskOutput(self)

    # The parameters, read

    @property
    def connection(self) -> AwsConnection:
        """The task's AWS connection."""
        return read_connection(
            subject=f"task {self.task_id}",
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
            default_bucket=self.default_bucket,
            default_bucket_prefix=self.default_bucket_prefix,
        )

    @cached_property
    def hook(self) -> ProcessingHook:
        """The hook of the task's connection."""
        return self.connection.hook(self.secrets)

    @cached_property
    def secrets(self) -> JobSecrets:
        """The secrets of the task's job, which must not be shown; available once the parameters are rendered."""
        return job_secrets(self.env, self.mask_env)

    def definition_parameters(self) -> dict[str, Any]:
        """Return the parameters that define the job, by the names of `JobDefinition`'s fields."""
        given = {name: getattr(self, name, None) for name in DEFINITION_PARAMETERS}
        own = own_over_inherited(given, self.inherited)
        return with_base_name(own, dag_id=self.dag_id, task_name=legal_name(self.task_id))

    def wait_parameters(self) -> dict[str, Any]:
        """Return the parameters of the wait, by the names of `WaitOptions`' fields."""
        return {name: getattr(self, name) for name in WAIT_PARAMETERS}

    def read_wait_options(self) -> tuple[WaitOptions, list[Problem]]:
        """Return the wait options, and what is wrong with their parameters."""
        from airflow_sm_processing.airflow_compat import configured_poll_interval

        given = self.wait_parameters()
        if given["poll_interval"] is None:
            given["poll_interval"] = configured_poll_interval(DEFAULT_POLL_INTERVAL)
        return read_wait_options(given)

    def read_definition(
        self,
        option_problems: Sequence[Problem] = (),
        *,
        definition_parameters: Mapping[str, Any] | None = None,
        is_excused: Callable[[Problem], bool] = lambda _: False,
    ) -> JobDefinition:
        """Return the job's definition from the rendered parameters; local paths are relative to the DAG file's folder.

        Args:
            option_problems: What is wrong with the wait options, to be reported along with the rest.
            definition_parameters: Replaces the task's own parameters.
            is_excused: Returns whether to ignore a problem.

        Raises:
            DefinitionError: A parameter can't be read.
        """
        return read_definition(
            self._parameters(definition_parameters),
            option_problems,
            folder=self._folder(),
            subject=f"task {self.task_id}",
            is_excused=is_excused,
        )

    def early_problems(self) -> list[Problem]:
        """Return the problems with the parameters that don't depend on a run."""
        problems = early_problems(self._parameters(), self._folder())
        return with_misnamed(self.misnamed, [*self._template_problems(), *problems])

    def _template_problems(self) -> Iterator[Problem]:
        # A mapped task's instance is made in the worker, partly from data, in which Airflow doesn't render templates.
        if getattr(self, "_BaseOperator__from_mapped", False):
            return
        dag = self.get_dag()
        fields = {name: getattr(self, name, None) for name in self.template_fields}
        settings = None if dag is None else dag.jinja_environment_kwargs
        yield from template_problems(fields, settings, secret=("env", "git_config"))

    def _check_early(self) -> None:
        """Report problems that don't depend on a run; called at the end of the outermost `__init__`."""
        problems = self.early_problems()
        if problems:
            raise DefinitionError(problems, subject=f"task {self.task_id}")

    def _folder(self) -> Path:
        """Return the DAG file's folder, which local paths are relative to."""
        dag = self.get_dag()
        return Path(dag.fileloc).parent if dag is not None and dag.fileloc else Path.cwd()

    def _parameters(self, definition: Mapping[str, Any] | None = None) -> TaskParameters:
        return TaskParameters(
            definition=self.definition_parameters() if definition is None else definition,
            wait=self.wait_parameters(),
            mask_env=self.mask_env,
            result_files=self.result_files,
            max_result_file_bytes=self.max_result_file_bytes,
            emit_assets=self.emit_assets,
            inherited=self.inherited,
            written=self.written,
        )

    # The job, for subclasses to define and to read

    @contextmanager
    def job_definition(
        self,
        context: Context,  # noqa: ARG002  # overriding methods need it
        option_problems: Sequence[Problem] = (),
        *,
        is_excused: Callable[[Problem], bool] = lambda _: False,
    ) -> Iterator[JobDefinition]:
        """Yield the job's definition, see `read_definition`; the job is created in the block."""
        definition = self.read_definition(option_problems, is_excused=is_excused)
        with paths_as_written(self._parameters(), self._folder()):
            yield definition

    def job_result(self, context: Context, ended: EndedJob) -> Any:  # noqa: ARG002  # overriding methods need it
        """Return the task's result for a job that completed or was stopped."""
        from airflow_sm_processing.xcoms import ended_result

        return ended_result(ended.description)

    def job_failure(self, ended: EndedJob, error: JobFailedError) -> Exception:  # noqa: ARG002  # overriding methods need it
        """Return the exception that the task raises for a failed job."""
        return error

    def ends_from_trigger(self, options: WaitOptions) -> bool:
        """Return whether the trigger may end the task; if the user asked for that and it can't, log why."""
        if not options.end_from_trigger:
            return False
        reasons = list(self._reasons_for_worker(options))
        if reasons:
            self.log.info("A worker will end the task, though end_from_trigger=True: %s.", "; ".join(reasons))
        return not reasons

    def plan(self, context: Context, *, show_env: bool = False) -> dict[str, Any]:
        """Return the task's requests to AWS as plain JSON, without sending them.

        `request` is that of CreateProcessingJob, with the name of the task instance's first job and all its owner's
        tags except the claim. `uploads` has the S3 URI of each local file, `permissions` what the `caller` and the
        `job_role` need, `defaults` the sources of parameters that the task doesn't set, and `unknown` the placeholders
        for what only AWS knows.

        Args:
            context: The task instance's context; the task's parameters must be rendered.
            show_env: Whether the values of `env` are shown.

        Raises:
            TaskDefinitionError: Something is wrong with the task's parameters.
            UploadError: A local file can't be read.
        """
        from airflow_sm_processing.operators.acquire import plan_task

        return plan_task(self, context, self.job_definition).to_plain(show_env=show_env)

    # What Airflow calls

    def pre_execute(self, context: Context) -> None:
        """Remove the links from the worker's copy of the task: Airflow would push them again, even empty ones."""
        self.operator_extra_links = ()
        super().pre_execute(context)

    def execute(self, context: Context) -> Any:
        """Acquire this task instance's job, created now or by an earlier try; then wait for it, defer, or return."""
        return self._begin(context).start()

    def execute_after_capacity_wait(self, context: Context, event: dict[str, Any]) -> Any:
        """Try again to create the job, after a wait for capacity in the triggerer."""
        return self._begin(context).start_after_capacity_wait(event)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Resume after the trigger fired: read the rest of the log and the result, or fail at the deadline."""
        return self._begin(context).resume(event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; if Airflow ended the deferral, handle the job before the task fails."""
        if next_method != TRIGGER_FAIL_REPR:
            return super().resume_execution(next_method, next_kwargs, context)
        return self._begin(context).resume_without_trigger(next_kwargs or {})

    def on_kill(self) -> None:
        """Stop the job, or leave it to the next try: this process must end, or `execution_timeout` is over."""
        self._killed = True
        if self._run is not None:
            self._run.stop()

    def render_template(
        self,
        content: Any,
        context: Any,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render texts that have a template in them, at any depth; other texts reach the job unchanged."""
        if isinstance(content, str):
            jinja_env = jinja_env or self.get_template_env()
            if not has_template(content, jinja_env, self.template_ext):
                return content
        return super().render_template(content, context, jinja_env, seen_oids)

    def _render(self, template: Template, context: Any, dag: DAG | None = None) -> Any:
        """Render as Airflow does; a number that a native DAG makes of a text keeps that text."""
        recorded = RecordedTemplate(template)
        return recorded.value(super()._render(recorded, context, dag))

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], *args: Any, **kwargs: Any
    ) -> None:
        """Render the fields, and register secrets with Airflow's masker, before Airflow shows the fields."""
        names = [*template_fields]

        def render(fields: Sequence[str]) -> None:
            super(BaseProcessingOperator, self)._do_render_template_fields(parent, fields, *args, **kwargs)

        if parent is not self:
            render(names)
            return
        render_fields(self, [name for name in names if name == MASK_PARAMETER], render)
        self._mask_in_airflow(known=hide_unresolved)
        render_fields(self, [name for name in names if name != MASK_PARAMETER], render)
        self._mask_in_airflow(known=lambda rendered: rendered)
        # Airflow shows all template fields of the rendered task. There are about fifty, and most tasks set a handful.
        self.template_fields = [name for name in names if getattr(self, name, None) is not None]

    def _mask_in_airflow(self, *, known: Callable[[Any], Any]) -> None:
        fields = [known(getattr(self, name, None)) for name in self.template_fields]
        mask_in_airflow(known(self.env), self.mask_env, fields, known(getattr(self, "git_config", None)))

    def get_openlineage_facets_on_start(self) -> Any:
        """Return the S3 locations that the task itself names; others are known when the job is created."""
        from airflow_sm_processing.operators.lineage import lineage_of_definition

        _, problems = self.read_wait_options()
        return lineage_of_definition(self.read_definition(problems), self.secrets.hide)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the job, and what it read and wrote, with sizes."""
        del task_instance
        seen = None if self._run is None else self._run.last_seen
        if seen is None:
            return self.get_openlineage_facets_on_start()
        from airflow_sm_processing.operators.lineage import lineage_of_job

        return lineage_of_job(seen, self.get_openlineage_facets_on_start)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return the same as on completion, as far as the job came."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _begin(self, context: Context) -> JobRun:
        """Return a new run, for this period in a worker; import here what a DAG file's parse doesn't need."""
        from airflow_sm_processing.operators.attempt import make_comms_signal_safe
        from airflow_sm_processing.operators.job_run import JobRun

        make_comms_signal_safe()
        run = self._run = JobRun(self, context, self._settings(), self.log)
        if self._killed:
            run.stop()
        return run

    def _settings(self) -> RunSettings:
        from airflow_sm_processing.operators.acquire import RunSettings

        options, problems = self.read_wait_options()
        return RunSettings(
            task_id=self.task_id,
            dag_id=self.dag_id,
            options=options,
            option_problems=tuple(problems),
            execution_timeout=self.execution_timeout,
            trigger_mask=lambda: trigger_mask(self.mask_env, self.secrets),
            result_files=self.result_files,
            max_result_file_bytes=self.max_result_file_bytes,
            asset_outlets=AssetOutlets(
                self.outlets, self.own_outputs, outputs_alias(self) if as_bool(self.emit_assets) else None
            ),
        )

    def _reasons_for_worker(self, options: WaitOptions) -> Iterator[str]:
        """Yield the reasons for ending the task in a worker: things that Airflow does only there."""
        from airflow_sm_processing.airflow_compat import conf

        has_hook = type(self).post_execute is not BaseOperator.post_execute or getattr(self, "_post_execute_hook", None)
        backend = conf.get("core", "xcom_backend", fallback=_OWN_XCOM).rpartition(".")[2]
        reasons = {
            "it shows the log's end (logs='tail')": options.logs == "tail",
            "it keeps its result out of XCom (do_xcom_push=False)": not self.do_xcom_push,
            "it reads result_files": self.result_files,
            "it has outlets, whose asset events a worker emits": self.outlets,
            "it has an on_success_callback, which a worker calls": self.on_success_callback,
            "it has a post_execute of its own": has_hook,
            "the XCom backend is not Airflow's own": backend != "BaseXCom",
            "a task is mapped over its result": next(iter(self.iter_mapped_dependants()), None) is not None,
        }
        yield from (reason for reason, holds in reasons.items() if holds)
        if self.needs_worker is not None:
            yield self.needs_worker
