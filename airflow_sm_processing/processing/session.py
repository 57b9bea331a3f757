"""AWS as the core sees it: clients, the default bucket, role names."""

from __future__ import annotations

import logging
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_processing.exceptions import BucketError, DefinitionError, Problem, ServiceError
from airflow_sm_processing.processing.aws_calls import answer_read, aws_call, readable
from airflow_sm_processing.processing.defaults import Source, config_files, read_defaults
from airflow_sm_processing.processing.secrets import JobSecrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import boto3
    from botocore.exceptions import ClientError
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sts import STSClient

    from airflow_sm_processing.processing.defaults import JobDefaults

__all__ = ["ClientFactory", "Session"]

log = logging.getLogger(__name__)

_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409  # HTTP's own
_US_EAST_1 = "us-east-1"  # the one region that CreateBucket takes no LocationConstraint for
_ALREADY_OURS = frozenset({"BucketAlreadyOwnedByYou", "OperationAborted"})  # somebody of ours is creating it as well


class ClientFactory(Protocol):
    """Makes the clients of a session: the seam for endpoints, TLS settings and botocore configuration."""

    def __call__(self, service_name: str, /) -> Any:
        """Return a boto3 client of the service, such as `s3`."""


class Session:
    """Clients and account-wide settings that processors and jobs share.

    Clients are made on first use, once each; all methods may be called from several threads.
    """

    def __init__(
        self,
        boto_session: boto3.Session | None = None,
        sagemaker_client: SageMakerClient | None = None,
        default_bucket: str | None = None,
        default_bucket_prefix: str | None = None,
        *,
        verify: bool | str | None = None,
        client_factory: ClientFactory | None = None,
        secrets: JobSecrets | None = None,
        sagemaker_config: Mapping[str, Any] | None = None,
        more_defaults: Sequence[Source] = (),
    ) -> None:
        """Accept what is given; the rest comes from boto3's own configuration chain.

        Args:
            boto_session: Credentials and region.
            sagemaker_client: Used for the processing-job calls.
            default_bucket: Takes local inputs, code and outputs without a destination. It must exist: it is neither
                looked for nor created, so that no ListBuckets or CreateBucket permission is needed. If not given, it
                is `sagemaker-<region>-<account>`, created if missing.
            default_bucket_prefix: Stands before every key that is made in the default bucket.
            verify: Whether TLS certificates are checked, or the path of a CA bundle; None leaves it to boto3.
            client_factory: Makes the other clients, `boto_session.client` if not given.
            secrets: Hidden in the log lines, messages and errors of the session's jobs; if not given, nothing is.
            sagemaker_config: Defaults of jobs, as the SDK has them; if not given, they are read from its `config.yaml`
                files when a job is first submitted.
            more_defaults: Other sources of defaults, which win over those.
        """
        self._boto_session = boto_session
        self._clients: dict[str, Any] = {} if sagemaker_client is None else {"sagemaker": sagemaker_client}
        self._client_factory = client_factory
        self._explicit_bucket = default_bucket
        self._ensured_bucket: str | None = None
        self._lock = threading.RLock()
        self.default_bucket_prefix = default_bucket_prefix
        self.verify = verify
        self.secrets = secrets or JobSecrets(mask=False, signatures=False)
        self._sagemaker_config = sagemaker_config
        self._more_defaults = tuple(more_defaults)

    @property
    def boto_session(self) -> boto3.Session:
        """The boto3 session, made on first use."""
        import boto3

        with self._lock:
            if self._boto_session is None:
                with aws_call("boto3.Session", "boto3's own configuration"):
                    self._boto_session = boto3.Session()
            return self._boto_session

    @property
    def boto_region_name(self) -> str:
        """The region of the session.

        Raises:
            DefinitionError: None is configured.
        """
        region = self.boto_session.region_name or self._region_of_given_client()
        if region is None:
            rule = "no AWS region is configured: set region_name, the connection's region, or AWS_DEFAULT_REGION"
            raise DefinitionError([Problem("region_name", None, rule)])
        return region

    def client(self, service_name: str) -> Any:
        """Return the session's client of a service."""
        with self._lock:
            if service_name not in self._clients:
                self._clients[service_name] = self._make_client(service_name)
            return self._clients[service_name]

    @property
    def sagemaker_client(self) -> SageMakerClient:
        """The client of the processing-job calls."""
        client: SageMakerClient = self.client("sagemaker")
        return client

    @property
    def s3_client(self) -> S3Client:
        """The client of uploads and of the default bucket."""
        client: S3Client = self.client("s3")
        return client

    @property
    def logs_client(self) -> CloudWatchLogsClient:
        """The client of the jobs' log lines."""
        client: CloudWatchLogsClient = self.client("logs")
        return client

    @cached_property
    def account_id(self) -> str:
        """The account of the session's credentials, as STS says."""
        sts: STSClient = self.client("sts")
        with aws_call("GetCallerIdentity", "the session's credentials"):
            answer = sts.get_caller_identity()
        with answer_read("GetCallerIdentity", "the session's credentials"):
            return readable(sts, "GetCallerIdentity", answer, "Account")["Account"]

    @property
    def default_bucket_name(self) -> str:
        """The default bucket's name, whether or not it exists."""
        return self._explicit_bucket or f"sagemaker-{self.boto_region_name}-{self.account_id}"

    @property
    def default_bucket_owner(self) -> str | None:
        """The account that must own the default bucket; None if the user chose the bucket."""
        return None if self._explicit_bucket else self.account_id

    def default_bucket(self) -> str:
        """Return the default bucket's name; create `sagemaker-<region>-<account>` if it is missing.

        Raises:
            BucketError: Another account owns the bucket of that name, or access to it is forbidden.
        """
        with self._lock:
            if self._ensured_bucket is None:
                if not self._explicit_bucket:
                    self._ensure_bucket(self.default_bucket_name)
                self._ensured_bucket = self.default_bucket_name
            return self._ensured_bucket

    def defaults(self) -> JobDefaults:
        """Read the defaults of this session's jobs.

        Raises:
            DefinitionError: A source of defaults can't be read.
            ServiceError: S3 refused or couldn't be reached.
        """
        given = self._sagemaker_config
        files = config_files() if given is None else [Source("sagemaker_config", given)]
        return read_defaults([*files, *self._more_defaults], lambda: self.s3_client)

    def expand_role(self, role: str) -> str:
        """Return the ARN of a role name, as iam:GetRole says; what has a slash in it is an ARN already.

        Raises:
            DefinitionError: IAM knows no such role.
        """
        if "/" in role:
            return role
        iam: IAMClient = self.client("iam")
        try:
            with aws_call("GetRole", role):
                answer = iam.get_role(RoleName=role)
        except ServiceError as error:
            if error.code not in {"NoSuchEntity", "NoSuchEntityException"}:
                raise
            rule = "IAM knows no role of that name in this account: check the name, or use the role's ARN"
            raise DefinitionError([Problem("role", role, rule)]) from error
        with answer_read("GetRole", role):
            return answer["Role"]["Arn"]

    def _make_client(self, service_name: str) -> Any:
        with aws_call("boto3.client", service_name):
            if self._client_factory is not None:
                return self._client_factory(service_name)
            return self.boto_session.client(service_name, region_name=self.boto_region_name, verify=self.verify)  # type: ignore[call-overload]  # any service

    def _region_of_given_client(self) -> str | None:
        client = self._clients.get("sagemaker")
        return None if client is None else client.meta.region_name

    def _ensure_bucket(self, bucket: str) -> None:
        with aws_call("HeadBucket", bucket):
            exists = self._bucket_exists(bucket)
        if not exists:
            with aws_call("CreateBucket", bucket):
                self._create_bucket(bucket)

    def _bucket_exists(self, bucket: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            self.s3_client.head_bucket(Bucket=bucket, ExpectedBucketOwner=self.account_id)
        except ClientError as error:
            status = _status(error)
            if status == _FORBIDDEN:
                raise _unusable_bucket(bucket, self.account_id, error) from error
            if status != _NOT_FOUND:
                raise
            return False
        return True

    def _create_bucket(self, bucket: str) -> None:
        from botocore.exceptions import ClientError

        region: Any = self.boto_region_name
        place = {} if region == _US_EAST_1 else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self.s3_client.create_bucket(Bucket=bucket, **place)  # type: ignore[arg-type]  # as the API has it
        except ClientError as error:
            if error.response["Error"]["Code"] in _ALREADY_OURS:
                return
            if _status(error) in {_FORBIDDEN, _CONFLICT}:
                raise _unusable_bucket(bucket, self.account_id, error) from error
            raise
        log.info("Created the default bucket s3://%s", bucket)


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _unusable_bucket(bucket: str, account_id: str, error: Exception) -> BucketError:
    return BucketError(
        f"The default bucket {bucket} can't be used by account {account_id}: {error}. It belongs to another account, "
        "or access to it is forbidden. Give default_bucket, or S3 URIs for every input and output."
    )
