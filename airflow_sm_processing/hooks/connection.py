"""The AWS connection of a task: one value that operators, triggers and hooks share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.processing.secrets import JobSecrets

__all__ = ["AwsConnection"]


@dataclass(frozen=True, kw_only=True)
class AwsConnection:
    """The parameters of the amazon provider's hooks, plus the bucket for a session's files."""

    aws_conn_id: str | None = "aws_default"
    """Airflow connection; None uses boto3's own configuration chain."""
    region_name: str | None = None
    """AWS region; the connection's if None."""
    verify: bool | str | None = None
    """Whether TLS certificates are checked, or the path of a CA bundle; the connection's if None."""
    botocore_config: dict[str, Any] | None = None
    """Keyword arguments of `botocore.config.Config`; the connection's if None."""
    default_bucket: str | None = None
    """The bucket for local files and for outputs without a destination; `sagemaker-<region>-<account>` if None."""
    default_bucket_prefix: str | None = None

    @property
    def watch_key(self) -> str:
        """Return the key of the watcher for this connection: equal for the same credentials, region and endpoint."""
        settings = (self.aws_conn_id, self.region_name, self.verify, self.botocore_config)
        return json.dumps(settings, sort_keys=True, default=str)

    def serialize(self) -> dict[str, Any]:
        """Return the fields as plain JSON, for a trigger's arguments."""
        return asdict(self)

    def hook(self, secrets: JobSecrets | None = None) -> ProcessingHook:
        """Return a hook for this connection that hides the secrets in its jobs' messages and logs."""
        from airflow_sm_processing.hooks.processing import ProcessingHook

        return ProcessingHook(**asdict(self), secrets=secrets)
