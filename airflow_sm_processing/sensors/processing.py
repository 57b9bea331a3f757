"""The sensor that waits for a processing job that was started elsewhere."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_sm_processing.exceptions import DefinitionError, Problem, TransientError
from airflow_sm_processing.links import JOB_LINKS
from airflow_sm_processing.operators.parameters import (
    inherited,
    misnamed_parameters,
    read_wait_options,
    refuse_misnamed,
    warn_of_misspelt_defaults,
    with_misnamed,
)
from airflow_sm_processing.operators.templating import (
    RecordedTemplate,
    described,
    gave_nothing,
    has_template,
    render_fields,
)
from airflow_sm_processing.processing.values import DEFAULT_POLL_INTERVAL, ValueReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import NoReturn

    from airflow.sdk import DAG, Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from jinja2 import Environment, Template
    from typing_extensions import Unpack

    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.operators.base import AirflowParameters
    from airflow_sm_processing.operators.parameters import Misnamed
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import JobLookup

    class SensorParameters(AirflowParameters, total=False):
        """The parameters of every sensor of Airflow."""

        poke_interval: timedelta | float
        timeout: timedelta | float | None
        soft_fail: bool
        mode: str
        exponential_backoff: bool
        max_wait: timedelta | float | None
        silent_fail: bool
        never_fail: bool


__all__ = ["ProcessingJobSensor", "defers"]

_LOOKUP_PARAMETERS = ("job_name", "job_arn", "job_name_prefix")
_BACKSTOP = timedelta(seconds=30)  # after the trigger's deadline, Airflow ends the deferral


class ProcessingJobSensor(BaseSensorOperator):
    """Waits until a processing job that was started elsewhere has completed; also for a job that doesn't exist yet.

    It returns the same result, and has the same XComs, as the operators. If the job failed or was stopped, the sensor
    fails without a retry, or is skipped with `soft_fail=True`. It never stops a job.
    """

    template_fields: Sequence[str] = (
        *_LOOKUP_PARAMETERS,
        "since",
        "aws_conn_id",
        "region_name",
        "verify",
        "botocore_config",
        "deferrable",
    )
    ui_color = "#e8f1ea"
    operator_extra_links = JOB_LINKS
    written: Mapping[str, Any] = MappingProxyType({})
    """The templated fields as written in the DAG file; set when the fields are rendered."""

    def __init__(
        self,
        *,
        job_name: str | None = None,
        job_arn: str | None = None,
        job_name_prefix: str | None = None,
        since: datetime | str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        deferrable: bool | None = None,
        poll_interval: timedelta | float | None = None,
        **kwargs: Unpack[SensorParameters],
    ) -> None:
        """Set which job to wait for, by one of three parameters, and Airflow's own parameters for sensors.

        Args:
            job_name: The job's name.
            job_arn: The job's ARN, whose region is the default of `region_name`.
            job_name_prefix: The beginning of the job's name; the newest such job at each poll counts.
            since: With a prefix, only jobs created after this time count: a datetime, or text in ISO 8601. If None, the
                run's `run_after`, which stays the same for retries and after a clear.
            aws_conn_id: Airflow connection; None uses boto3's own configuration chain.
            region_name: AWS region; the connection's if None.
            verify: Whether TLS certificates are checked, or the path of a CA bundle.
            botocore_config: Keyword arguments of `botocore.config.Config`.
            deferrable: Whether to wait in the triggerer; if None, Airflow's `[operators] default_deferrable`, unless
                `mode="reschedule"`.
            poll_interval: How often the job is polled, in seconds; `poke_interval` is Airflow's name for it. If None,
                `[sm_processing] poll_interval`, which is 10 by default.
            kwargs: The parameters of Airflow's sensors, such as `timeout`, `mode` and `soft_fail`.

        Raises:
            DefinitionError: Not exactly one of `job_name`, `job_arn` and `job_name_prefix` is set.
        """
        given: Any = kwargs
        misnamed = misnamed_parameters(type(self), given, to_sensors=True)
        known = {name: value for name, value in given.items() if name not in misnamed}
        if poll_interval is None and "poke_interval" not in known:
            from airflow_sm_processing.airflow_compat import configured_poll_interval

            poll_interval = configured_poll_interval(DEFAULT_POLL_INTERVAL)
        super().__init__(**{"poke_interval": poll_interval, **known})
        self.job_name = job_name
        self.job_arn = job_arn
        self.job_name_prefix = job_name_prefix
        self.since = since
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.deferrable = deferrable
        self._deadline: float | None = None  # for a deferrable sensor, in seconds since the epoch
        self._last_seen: tuple[str, str] | None = None
        self._prefer_own(kwargs.get("default_args"))
        warn_of_misspelt_defaults(type(self), kwargs.get("default_args"))
        self._check_early(misnamed)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Begin a mapped task."""
        refuse_misnamed(cls, kwargs, task_id=kwargs.get("task_id"), to_sensors=True)
        return super().partial(**kwargs)

    @property
    def connection(self) -> AwsConnection:
        """The task's AWS connection."""
        from airflow_sm_processing.operators.parameters import read_connection
        from airflow_sm_processing.processing.job import named_by_arn

        region_name = self.region_name or None
        if self.job_arn:
            region_name, _ = named_by_arn(self._text("job_arn"), region_name=region_name)
        return read_connection(
            subject=f"task {self.task_id}",
            aws_conn_id=self.aws_conn_id,
            region_name=region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
        )

    @property
    def output(self) -> PlainXComArg:
        """A reference to the task's result; `output["train"]` refers to the S3 URI of the job's output `train`."""
        return cast("PlainXComArg", super().output)  # Airflow's type for it can't be indexed

    @cached_property
    def hook(self) -> ProcessingHook:
        """The hook of the task's connection, which hides the values of the job's environment."""
        from airflow_sm_processing.processing.secrets import JobSecrets

        return self.connection.hook(JobSecrets())

    def pre_execute(self, context: Context) -> None:
        """Remove the links from the worker's copy of the task: Airflow would push them again, even empty ones."""
        self.operator_extra_links = ()
        super().pre_execute(context)

    def execute(self, context: Context) -> Any:
        """Wait as Airflow's sensors do; a deferrable sensor defers at the first poll unless the job has ended."""
        from airflow_sm_processing.operators.attempt import make_comms_signal_safe

        make_comms_signal_safe()
        if self._is_deferrable():
            self._deadline = time.time() + self.timeout
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Check the job after the trigger has fired, and defer again if there is a newer one that hasn't ended."""
        from airflow_sm_processing.operators.attempt import make_comms_signal_safe
        from airflow_sm_processing.watcher.watches import JobOutcome

        make_comms_signal_safe()
        if JobOutcome(event["outcome"]) is JobOutcome.TROUBLE:  # the triggerer's credentials may be older
            self.log.warning("The triggerer can't look for the job, so this worker waits: %s", event["message"])
            self.timeout = max(0.0, event["deadline"] - time.time())
        else:
            self._deadline = event["deadline"]
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Check the job once, and defer if the sensor is deferrable.

        Raises:
            AirflowFailException: The job failed or was stopped, or such a job can't exist.
            AirflowSensorTimeout: The timeout of a deferrable sensor is over.
            ServiceError: AWS refused.
        """
        from airflow_sm_processing.airflow_compat import AirflowSensorTimeout

        look = self._look(context)
        if not look and self._deadline is not None:
            if time.time() >= self._deadline:
                raise AirflowSensorTimeout(f"The job had not completed after timeout={self.timeout:.0f} s.")
            self._defer(context, self._deadline)
        return look

    def render_template(
        self,
        content: Any,
        context: Any,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render texts that have a template in them, at any depth; other texts aren't changed."""
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
        """Render the fields, and fetch what they refer to."""

        def render(fields: Iterable[str]) -> None:
            super(ProcessingJobSensor, self)._do_render_template_fields(parent, fields, *args, **kwargs)

        if parent is self:
            render_fields(self, [*template_fields], render)
        else:
            render(template_fields)

    def _look(self, context: Context) -> PokeReturnValue:
        from airflow_sm_processing.operators.attempt import TaskDefinitionError
        from airflow_sm_processing.processing.job import find_job

        try:
            lookup = self._lookup(context)
            description = find_job(self.hook.session, lookup)
        except DefinitionError as error:
            raise TaskDefinitionError.of(error, task_id=self.task_id) from None
        except TransientError as error:
            self.log.warning("%s Searching again.", error)
            return PokeReturnValue(is_done=False)
        if description is None:
            self.log.info("It isn't there yet: %s", lookup)
            return PokeReturnValue(is_done=False)
        return self._seen(context, description)

    def _defer(self, context: Context, deadline: float) -> NoReturn:
        from airflow_sm_processing.triggers.processing import JobSensorTrigger

        connection = {**self.connection.serialize(), "region_name": self.hook.session.boto_region_name}
        self.defer(
            trigger=JobSensorTrigger(
                lookup=asdict(self._lookup(context)),
                connection=connection,
                poll_interval=self.poke_interval,
                deadline=deadline,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, deadline - time.time())) + _BACKSTOP,
        )

    def _is_deferrable(self) -> bool:
        from airflow_sm_processing.operators.attempt import TaskDefinitionError

        try:
            return defers(self.deferrable, reschedules=self.reschedule)
        except DefinitionError as error:
            raise TaskDefinitionError.of(error, task_id=self.task_id) from None

    def _lookup(self, context: Context) -> JobLookup:
        from airflow_sm_processing.processing.job import JobLookup, named_by_arn

        self._check_which()
        if self.job_arn:
            _, name = named_by_arn(self._text("job_arn"), region_name=self.region_name or None)
            return JobLookup(job_name=name, name_is_exact=False)
        if self.job_name:
            return JobLookup(job_name=self._text("job_name"))
        return JobLookup(job_name_prefix=self._text("job_name_prefix"), created_after=self._since(context))

    def _text(self, parameter: str) -> str:
        reader = ValueReader()
        text: str = reader.text(parameter, getattr(self, parameter))
        if reader.problems:
            raise DefinitionError(reader.problems)
        return text

    def _since(self, context: Context) -> float:
        from airflow.sdk import timezone

        since = self.since or context["dag_run"].run_after
        try:
            moment = since if isinstance(since, datetime) else timezone.parse(self._text("since"))
        except ValueError:
            raise DefinitionError([Problem("since", since, "must be a moment in ISO 8601")]) from None
        return moment.timestamp()

    def _seen(self, context: Context, description: JobDescription) -> PokeReturnValue:
        """Publish the job; if it has ended, return the sensor's result or raise."""
        from airflow_sm_processing.airflow_compat import AirflowFailException
        from airflow_sm_processing.exceptions import JobEndedError
        from airflow_sm_processing.operators.job_run import publish
        from airflow_sm_processing.processing.job import ProcessingJob
        from airflow_sm_processing.xcoms import ended_result

        job = ProcessingJob.from_description(self.hook.session, description)
        if self._last_seen != (job.job_name, description.status.value):
            self._last_seen = job.job_name, description.status.value
            publish(context, job)
            self.log.info("Processing job %s is %s.", *self._last_seen)
        if not description.status.is_terminal:
            return PokeReturnValue(is_done=False)
        try:
            job.raise_unless_completed(description)
        except JobEndedError as error:
            raise AirflowFailException(str(error)) from None
        return PokeReturnValue(is_done=True, xcom_value=ended_result(description))

    def _prefer_own(self, default_args: Mapping[str, Any] | None) -> None:
        """Ignore a job from `default_args` if the task itself names one."""
        given = {name: value for name in _LOOKUP_PARAMETERS if (value := getattr(self, name))}
        from_defaults = inherited(given, default_args)
        if given.keys() - from_defaults:
            for name in from_defaults:
                setattr(self, name, None)

    def _check_early(self, misnamed: Mapping[str, Misnamed]) -> None:
        """Report all problems that don't depend on a run, in one error."""
        problems: Sequence[Problem] = ()
        try:
            self._check_which()
        except DefinitionError as error:
            problems = error.problems
        if found := with_misnamed(misnamed, problems):
            raise DefinitionError(found, subject=f"task {self.task_id}")

    def _check_which(self) -> None:
        values = {name: getattr(self, name) for name in _LOOKUP_PARAMETERS}
        given = [name for name, value in values.items() if value is not None and value != ""]
        if len(given) != 1:
            found = "none is" if not given else f"{' and '.join(given)} are"
            rule = f"exactly one of {', '.join(_LOOKUP_PARAMETERS)} is required, and {found}"
            raise DefinitionError([Problem("job_name", self.job_name, rule)], subject=f"task {self.task_id}")
        written = self.written.get(given[0])
        if gave_nothing(written, values[given[0]]):
            problem = Problem(given[0], values[given[0]], f"{described(written)} has no value")
            raise DefinitionError([problem], subject=f"task {self.task_id}")
        if isinstance(values[given[0]], (list, tuple)):
            rule = (
                f"is a list, and a sensor waits for one job: map it over them, such as "
                f"ProcessingJobSensor.partial(…).expand({given[0]}=task.output.map(lambda result: result['job_name']))"
            )
            raise DefinitionError([Problem(given[0], values[given[0]], rule)], subject=f"task {self.task_id}")


def defers(deferrable: Any, *, reschedules: bool) -> bool:
    """Return whether a sensor waits in the triggerer.

    Raises:
        DefinitionError: `deferrable` isn't a bool.
    """
    options, problems = read_wait_options({"deferrable": deferrable})
    if problems:
        raise DefinitionError(problems)
    return options.is_deferrable and (options.deferrable is not None or not reschedules)
