"""SageMaker Processing through an Airflow connection."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from airflow_sm_processing.airflow_compat import conf
from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.metrics import count_calls
from airflow_sm_processing.processing import ProcessingJob, Processor, ScriptProcessor, Session
from airflow_sm_processing.processing.aws_calls import aws_call
from airflow_sm_processing.processing.defaults import Source, config_files, read_defaults
from airflow_sm_processing.processing.secrets import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.processing import JobDefinition
    from airflow_sm_processing.processing.defaults import JobDefaults
    from airflow_sm_processing.processing.secrets import JobSecrets

__all__ = ["ProcessingHook"]


_SHORT_TIMEOUTS = Config(connect_timeout=10, read_timeout=30)  # seconds; botocore's own are 60


class ProcessingHook(AwsGenericHook[Any]):
    """Provides the SDK-style processors and jobs with an Airflow connection's credentials, region and settings.

    Every AWS call of this package goes through a hook's `session`.
    """

    def __init__(
        self,
        aws_conn_id: str | None = AwsGenericHook.default_conn_name,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        *,
        default_bucket: str | None = None,
        default_bucket_prefix: str | None = None,
        secrets: JobSecrets | None = None,
    ) -> None:
        """Accept the connection parameters of the operators.

        Args:
            aws_conn_id: Airflow connection; None uses boto3's own configuration chain.
            region_name: AWS region; the connection's if None.
            verify: Whether TLS certificates are checked, or the path of a CA bundle.
            botocore_config: Keyword arguments of `botocore.config.Config`.
            default_bucket: See `Session`.
            default_bucket_prefix: See `Session`.
            secrets: See `Session`.

        Raises:
            DefinitionError: botocore doesn't take `botocore_config`.
        """
        super().__init__(
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            verify=verify,
            config=_config(botocore_config),
            client_type="sagemaker",
        )
        self._default_bucket = default_bucket
        self._default_bucket_prefix = default_bucket_prefix
        self._secrets = secrets

    @cached_property
    def session(self) -> Session:
        """The session for this connection."""
        with aws_call("boto3.Session", f"connection {self.aws_conn_id}"):
            boto_session = self.get_session(region_name=self.region_name)
        return Session(
            boto_session=boto_session,
            default_bucket=self._default_bucket,
            default_bucket_prefix=self._default_bucket_prefix,
            verify=self.verify,
            client_factory=self._make_client,
            secrets=self._secrets,
            more_defaults=list(self._more_defaults()),
        )

    def local_defaults(self) -> JobDefaults:
        """Read the defaults of this connection's jobs, except those in S3, without credentials or calls to AWS.

        Raises:
            DefinitionError: A source of defaults can't be read.
        """
        return read_defaults([*config_files(), *self._more_defaults()], None)

    def _more_defaults(self) -> Iterator[Source]:
        """Yield the defaults from Airflow: its configuration option's, then the connection's, which take precedence."""
        place = conf.get("sm_processing", "sagemaker_config", fallback="")
        if place:
            yield Source(place)
        of_connection = self.conn_config.extra_config.get("sagemaker_config")
        if isinstance(of_connection, str):
            yield Source(of_connection)
        elif of_connection is not None:
            yield Source(f"connection {self.aws_conn_id}", of_connection)

    def processor(self, **parameters: Any) -> Processor:
        """Return a `Processor` on this connection; takes all its parameters except the session."""
        return Processor(sagemaker_session=self.session, **parameters)

    def script_processor(self, **parameters: Any) -> ScriptProcessor:
        """Return a `ScriptProcessor` on this connection; takes all its parameters except the session."""
        return ScriptProcessor(sagemaker_session=self.session, **parameters)

    def submit(
        self,
        definition: JobDefinition,
        *,
        max_transient_seconds: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> ProcessingJob:
        """Check the definition, upload its local files and create the job.

        Throttling, 5xx errors, lost connections, quotas and missing capacity are retried for `max_transient_seconds`.
        `sleep` waits in between; an exception in it ends the submission.
        """
        return ProcessingJob.submit(definition, self.session, max_transient_seconds=max_transient_seconds, sleep=sleep)

    def job(self, job_name: str) -> ProcessingJob:
        """Return a handle on a job without a call to AWS; its inputs and outputs stay unknown."""
        return ProcessingJob(self.session, job_name, inputs=None, outputs=None)

    def single_attempt_client(self, service_name: str) -> Any:
        """Return a client that tries each call once, with short time-outs, for a caller that retries by itself.

        Time-outs that the user has set are kept.
        """
        once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        with aws_call("boto3.client", service_name):
            return self._make_client(service_name, _SHORT_TIMEOUTS.merge(self._client_config).merge(once))

    @cached_property
    def _client_config(self) -> Config:
        """The configuration of the hook's clients.

        Made once: the amazon provider reads the source of the whole call stack (some 30 ms) to name the operator in
        the user agent.
        """
        return self._get_config()

    def _make_client(self, service_name: str, /, config: Config | None = None) -> Any:
        client = self.session.boto_session.client(  # type: ignore[call-overload]  # any service
            service_name,
            region_name=self.region_name,
            endpoint_url=self.conn_config.get_service_endpoint_url(service_name),
            config=config or self._client_config,
            verify=self.verify,
        )
        count_calls(client)
        return client


def _config(settings: dict[str, Any] | None) -> Config | None:
    if settings is None:
        return None
    try:
        return Config(**settings)
    except (TypeError, ValueError, BotoCoreError) as error:
        problem = Problem("botocore_config", hidden(settings), str(error))  # a proxy's address may contain a password
        raise DefinitionError([problem], subject="the connection") from error
