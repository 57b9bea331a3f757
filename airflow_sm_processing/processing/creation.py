"""The CreateProcessingJob call: patient, and content with the job that it made already."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import JobNameInUseError, TransientError
from airflow_sm_processing.processing.answers import readable
from airflow_sm_processing.processing.aws_errors import answer_read, aws_call, is_pressure
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.processing.waiting import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sagemaker import SageMakerClient

__all__ = ["create_job"]

log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_NOT_DESCRIBED = frozenset({"Tags"})  # DescribeProcessingJob doesn't give them


def create_job(
    client: SageMakerClient,
    request: dict[str, Any],
    *,
    own_name: bool,
    max_transient_seconds: float = 0.0,
    max_pressure_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Create the job and give its ARN.

    Args:
        client: Where to.
        request: CreateProcessingJob's parameters.
        own_name: Whether the job's name was generated. If a call was tried again, by botocore or here, a job of that
            name and with that very request is taken for the one that an earlier try made, whose answer was lost.
        max_transient_seconds: How long 5xx and lost connections are waited out.
        max_pressure_seconds: How long throttling, quotas and missing capacity are; as long as the rest if None.
        sleep: Waits so many seconds.

    Raises:
        JobRejectedError: SageMaker refused for a reason that no retry mends.
        JobNameInUseError: Another job has the name.
        ServiceError: AWS refused or couldn't be reached.
    """
    name = request["ProcessingJobName"]
    secrets = JobSecrets(request.get("Environment"))
    patience = Patience(max_transient_seconds)
    under_pressure = patience if max_pressure_seconds is None else Patience(max_pressure_seconds)
    pause = _FIRST_PAUSE
    tried = False
    while True:
        try:
            with aws_call("CreateProcessingJob", name, hide=secrets.hide_in_refusal):
                answer = client.create_processing_job(**request)
            with answer_read("CreateProcessingJob", name):
                return readable(client, "CreateProcessingJob", answer, "ProcessingJobArn")["ProcessingJobArn"]
        except JobNameInUseError as error:
            arn = _arn_if_same(client, request) if own_name and (tried or _was_tried_again(error)) else None
            if arn is None:
                raise
            log.info("Processing job %s was created already; only the answer was lost.", name)
            return arn
        except TransientError as error:
            (under_pressure if is_pressure(error) else patience).bear(error)
        tried = True
        sleep(random.uniform(0, pause))  # noqa: S311  # full jitter: many tasks may be waiting for the same quota
        pause = min(2 * pause, _LONGEST_PAUSE)


def _was_tried_again(error: JobNameInUseError) -> bool:
    """Tell whether botocore had tried the call before the answer that became this error."""
    response = getattr(error.__cause__, "response", {})
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))


def _arn_if_same(client: SageMakerClient, request: dict[str, Any]) -> str | None:
    name = request["ProcessingJobName"]
    with aws_call("DescribeProcessingJob", name):
        described = client.describe_processing_job(ProcessingJobName=name)
    with answer_read("DescribeProcessingJob", name):
        readable(client, "DescribeProcessingJob", described, "ProcessingJobName", "ProcessingJobArn")
    asked_for = {key: value for key, value in request.items() if key not in _NOT_DESCRIBED}
    return described["ProcessingJobArn"] if _contains(described, asked_for) else None


def _contains(described: Any, asked_for: Any) -> bool:
    """Tell whether a description has all that was asked for; defaults that SageMaker filled in may stand beside it."""
    if isinstance(asked_for, dict):
        return isinstance(described, dict) and all(
            key in described and _contains(described[key], value) for key, value in asked_for.items()
        )
    if isinstance(asked_for, list):
        return (
            isinstance(described, list)
            and len(described) == len(asked_for)
            and all(map(_contains, described, asked_for))
        )
    return bool(described == asked_for)
