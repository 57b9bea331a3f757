"""The fake account of the benchmarks, in this process or as a server."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from benchmarks.fake_sagemaker.jobs import Jobs
    from benchmarks.fake_sagemaker.logs import Logs
    from benchmarks.fake_sagemaker.plan import Plan

NOW = 1_700_000_000.0


@dataclass(frozen=True)
class Account:
    """The fake's parts, started at `NOW`."""

    jobs: Jobs
    logs: Logs
    plan: Plan


@dataclass(frozen=True)
class Server:
    """The fake as a process."""

    port: int

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client that sends each call once."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def control(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{path}") as answer:
            return json.load(answer)
