"""The core's access to AWS: clients, the default bucket, role names."""

from __future__ import annotations

import json
import logging
import re
import threading
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_processing.exceptions import BucketError, DefinitionError, Problem, ServiceError, UploadError
from airflow_sm_processing.processing.aws_calls import answer_read, aws_call, readable
from airflow_sm_processing.processing.defaults import Source, config_files, read_defaults
from airflow_sm_processing.processing.secrets import JobSecrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import PurePath

    import boto3
    from botocore.exceptions import ClientError
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sts import STSClient

    from airflow_sm_processing.processing.defaults import JobDefaults

__all__ = ["ClientFactory", "Session", "get_execution_role"]

log = logging.getLogger(__name__)

_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409  # HTTP status codes
_US_EAST_1 = "us-east-1"  # the only region for which CreateBucket takes no LocationConstraint
_ALREADY_OURS = frozenset({"BucketAlreadyOwnedByYou", "OperationAborted"})  # somebody in this account creates it too


class ClientFactory(Protocol):
    """Makes a session's clients; this is where endpoints, TLS settings and botocore's configuration can be set."""

    def __call__(self, service_name: str, /) -> Any:
        """Return a boto3 client for the service, such as `s3`."""


class Session:
    """Clients and account-wide settings that processors and jobs share.

    Each client is created once, on first use. All methods may be called from several threads.
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
        """Set the clients and the default bucket; everything else comes from boto3's own configuration chain.

        Args:
            boto_session: Credentials and region.
            sagemaker_client: The client for the calls about processing jobs.
            default_bucket: The bucket for local inputs, code and outputs without a destination. It must exist: it is
                neither looked up nor created, so that no ListBuckets or CreateBucket permission is needed. If not
                given, it is `sagemaker-<region>-<account>`, created if missing.
            default_bucket_prefix: The beginning of every key that is created in the default bucket.
            verify: Whether TLS certificates are checked, or the path of a CA bundle; None leaves it to boto3.
            client_factory: Makes the other clients, `boto_session.client` if None.
            secrets: What to hide in the log lines, messages and errors of the session's jobs; if None, nothing is.
            sagemaker_config: Defaults of jobs, in the SDK's form; if None, they are read from its `config.yaml` files
                when a job is first submitted.
            more_defaults: Other sources of defaults, which take precedence.
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
        """The boto3 session, created on first use."""
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
            DefinitionError: No region is configured.
        """
        region = self.boto_session.region_name or self._region_of_given_client()
        if region is None:
            rule = "no AWS region is configured: set region_name, AWS_DEFAULT_REGION or (in Airflow) the connection's"
            raise DefinitionError([Problem("region_name", None, rule)])
        return region

    def client(self, service_name: str) -> Any:
        """Return the session's client for a service."""
        with self._lock:
            if service_name not in self._clients:
                self._clients[service_name] = self._make_client(service_name)
            return self._clients[service_name]

    @property
    def sagemaker_client(self) -> SageMakerClient:
        """The client for the calls about processing jobs."""
        client: SageMakerClient = self.client("sagemaker")
        return client

    @property
    def s3_client(self) -> S3Client:
        """The client for uploads and the default bucket."""
        client: S3Client = self.client("s3")
        return client

    @property
    def logs_client(self) -> CloudWatchLogsClient:
        """The client for the jobs' log lines."""
        client: CloudWatchLogsClient = self.client("logs")
        return client

    @cached_property
    def account_id(self) -> str:
        """The account of the session's credentials, from STS."""
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
        """Return a role's ARN from its name, by iam:GetRole; a role with a slash in it is already an ARN.

        Raises:
            DefinitionError: IAM has no such role.
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
            raise DefinitionError([Problem("role", role, rule)]) from None
        with answer_read("GetRole", role):
            return answer["Role"]["Arn"]

    # Methods for notebooks, besides those for jobs

    def upload_data(
        self,
        path: str | PurePath,
        bucket: str | None = None,
        key_prefix: str = "data",
        callback: Callable[[int], None] | None = None,
        extra_args: Mapping[str, Any] | None = None,
    ) -> str:
        """Upload a local file, or all files in a folder, and return the S3 URI.

        Args:
            path: A file becomes `<key_prefix>/<its name>`, a folder's files `<key_prefix>/<their relative paths>`.
            bucket: The bucket; if None, the default bucket, with keys below `default_bucket_prefix`.
            key_prefix: The beginning of each key.
            callback: Called with the number of bytes whenever some have been sent.
            extra_args: boto3's ExtraArgs for each file, such as `{"ServerSideEncryption": "aws:kms"}`.

        Raises:
            UploadError: A file is missing, can't be read, or didn't reach S3.
        """
        from boto3.exceptions import Boto3Error

        from airflow_sm_processing.processing.uploads import upload
        from airflow_sm_processing.processing.uploads.files import list_files

        local, is_default = Path(path), bucket is None
        prefix = key_prefix if bucket else "/".join(part for part in (self.default_bucket_prefix, key_prefix) if part)
        bucket = bucket or self.default_bucket()
        owner = self.default_bucket_owner if is_default else None
        if callback is None and not extra_args:
            upload(
                local,
                bucket=bucket,
                key_prefix=prefix,
                s3_client=self.s3_client,
                boto_session=self.boto_session,
                verify=self.verify,
                expected_bucket_owner=owner,
            )
        else:
            options = {**(extra_args or {}), **({"ExpectedBucketOwner": owner} if owner else {})}
            for file in list_files(local):
                key = f"{prefix}/{file.name}"
                try:
                    self.s3_client.upload_file(file.path, bucket, key, Callback=callback, ExtraArgs=options)
                except Boto3Error as error:
                    raise UploadError(f"Upload failed for {file.path} -> s3://{bucket}/{key}: {error}") from error
        return f"s3://{bucket}/{prefix}" if local.is_dir() else f"s3://{bucket}/{prefix}/{local.name}"

    def download_data(
        self,
        path: str | PurePath,
        bucket: str,
        key_prefix: str = "",
        extra_args: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Download an object, or all objects below a prefix, and return the paths of the files.

        Args:
            path: The local folder to download to.
            bucket: The bucket.
            key_prefix: The object's key, or a prefix up to a `/`; the rest of each key is the file's path in `path`.
            extra_args: boto3's ExtraArgs for each file.

        Raises:
            ServiceError: S3 refused or couldn't be reached.
            DefinitionError: A key would be a path outside the folder.
        """
        target = Path(path)
        folder = key_prefix if not key_prefix or key_prefix.endswith("/") else f"{key_prefix}/"
        keys = [key for key in self.list_s3_files(bucket, key_prefix) if key == key_prefix or key.startswith(folder)]
        if not keys:
            log.info("Nothing to download from s3://%s/%s", bucket, key_prefix)
        files: list[str] = []
        for key in keys:
            name = PurePosixPath(key).name if key == key_prefix and not key.endswith("/") else key.removeprefix(folder)
            if ".." in PurePosixPath(name).parts or name.startswith("/"):
                rule = f"has a path that leads out of {target}: download it by boto3, to a place of your own"
                raise DefinitionError(
                    [Problem("key", key, rule)], subject=f"the download of s3://{bucket}/{key_prefix}"
                )
            if key.endswith("/"):  # a folder, as created by the console
                (target / name).mkdir(parents=True, exist_ok=True)
                continue
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with aws_call("GetObject", f"s3://{bucket}/{key}"):
                self.s3_client.download_file(bucket, key, str(target / name), ExtraArgs=dict(extra_args or {}))
            files.append(str(target / name))
        return files

    def upload_string_as_file_body(self, body: str | bytes, bucket: str, key: str, kms_key: str | None = None) -> str:
        """Upload a text, or bytes, as an object, and return its S3 URI.

        Args:
            body: The content; a text is encoded in UTF-8.
            bucket: The bucket.
            key: The object's key.
            kms_key: The KMS key that encrypts it.

        Raises:
            ServiceError: S3 refused or couldn't be reached.
        """
        uri = f"s3://{bucket}/{key}"
        content = body.encode() if isinstance(body, str) else body
        with aws_call("PutObject", uri):
            if kms_key is None:
                self.s3_client.put_object(Bucket=bucket, Key=key, Body=content)
            else:
                self.s3_client.put_object(
                    Bucket=bucket, Key=key, Body=content, ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key
                )
        return uri

    def list_s3_files(self, bucket: str, key_prefix: str) -> list[str]:
        """Return the keys that begin with a prefix.

        Raises:
            ServiceError: S3 refused or couldn't be reached.
        """
        place = f"s3://{bucket}/{key_prefix}"
        pages = self.s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key_prefix)
        with aws_call("ListObjectsV2", place):
            answers = list(pages)
        with answer_read("ListObjectsV2", place):
            return [item["Key"] for page in answers for item in page.get("Contents", ())]

    def get_caller_identity_arn(self) -> str:
        """Return the ARN of the role or user whose credentials the session has.

        In a SageMaker notebook or Studio, it is the role in its metadata file.

        Raises:
            ServiceError: STS or SageMaker refused, or couldn't be reached.
        """
        return _notebook_role(self) or self._role_of_credentials()

    def _role_of_credentials(self) -> str:
        with aws_call("GetCallerIdentity", "the session's credentials"):
            answer = self.client("sts").get_caller_identity()
        with answer_read("GetCallerIdentity", "the session's credentials"):
            arn = str(answer["Arn"])
        assumed = _ASSUMED_ROLE.fullmatch(arn)
        if assumed is None:
            return arn
        partition, account, name = assumed.groups()
        try:
            return self.expand_role(name)  # the full ARN, with the role's path
        except (ServiceError, DefinitionError) as error:
            path = "service-role/" if "AmazonSageMaker-ExecutionRole" in name else ""
            log.warning("Could not read the path of role %s from IAM; assuming %r: %s", name, f"/{path}", error)
            return f"arn:{partition}:iam::{account}:role/{path}{name}"

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
        "or access to it is forbidden. Set default_bucket, or S3 URIs for every input and output."
    )


_ASSUMED_ROLE = re.compile(r"arn:([^:]+):sts::(\d+):assumed-role/([^/]+)/.*")
_NOTEBOOK_METADATA = Path("/opt/ml/metadata/resource-metadata.json")  # created by SageMaker


def get_execution_role(sagemaker_session: Session | None = None, use_default: bool = False) -> str:
    """Return the ARN of the role whose credentials are used, such as a notebook's role, so that jobs can run as it.

    Args:
        sagemaker_session: The session with the credentials; from boto3's own configuration if None.
        use_default: If set, the SDK creates a role with full access to SageMaker and S3; this package doesn't.

    Raises:
        DefinitionError: The credentials aren't those of a role.
        ServiceError: AWS refused or couldn't be reached.
    """
    arn = (sagemaker_session or Session()).get_caller_identity_arn()
    if ":role/" in arn:
        return arn
    rule = "isn't a role's, so that no job can run as it: use the ARN of a role"
    if use_default:
        rule += "; no role with full access is made for you here"
    raise DefinitionError([Problem("credentials", arn, rule)], subject="the execution role")


def _notebook_role(session: Session) -> str | None:
    """Return the role of the SageMaker notebook or Studio that this code runs in; None elsewhere."""
    try:
        found = json.loads(_NOTEBOOK_METADATA.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s can't be read, so the credentials' own role is used: %s", _NOTEBOOK_METADATA, error)
        return None
    metadata = found if isinstance(found, dict) else {}
    if metadata.get("ExecutionRoleArn"):
        return str(metadata["ExecutionRoleArn"])
    try:
        return _studio_role(session, metadata) if metadata.get("DomainId") else _instance_role(session, metadata)
    except ServiceError as error:
        log.warning(
            "Could not read this notebook's role from SageMaker, so the credentials' own role is used: %s", error
        )
        return None


def _instance_role(session: Session, metadata: Mapping[str, Any]) -> str:
    name = str(metadata.get("ResourceName"))
    with aws_call("DescribeNotebookInstance", name):
        answer = session.sagemaker_client.describe_notebook_instance(NotebookInstanceName=name)
    with answer_read("DescribeNotebookInstance", name):
        return str(answer["RoleArn"])


def _studio_role(session: Session, metadata: Mapping[str, Any]) -> str:
    client, domain, user = session.sagemaker_client, str(metadata["DomainId"]), str(metadata.get("UserProfileName"))
    with aws_call("DescribeUserProfile", user):
        profile = client.describe_user_profile(DomainId=domain, UserProfileName=user)
    role = profile.get("UserSettings", {}).get("ExecutionRole")
    if role:
        return str(role)
    with aws_call("DescribeDomain", domain):
        answer = client.describe_domain(DomainId=domain)
    with answer_read("DescribeDomain", domain):
        return str(answer["DefaultUserSettings"]["ExecutionRole"])
