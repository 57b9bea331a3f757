"""The triggers that are compared, as their operators make them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

REGION = "eu-west-1"


class Job(NamedTuple):
    """A job that a trigger shall wait for."""

    name: str
    created: float
    """Seconds since the epoch."""


def ours(*, poll_seconds: int, logs: bool) -> Callable[[Job], BaseTrigger]:
    """This package's trigger."""
    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

    known = inspect.signature(ProcessingJobTrigger).parameters
    connection = AwsConnection(aws_conn_id=None, region_name=REGION).serialize()

    def trigger(job: Job) -> BaseTrigger:
        optional = {"logs": logs, "since": job.created, "mask_env": False}
        arguments: dict[str, Any] = {name: value for name, value in optional.items() if name in known}
        return ProcessingJobTrigger(job.name, connection=connection, poll_interval=poll_seconds, **arguments)

    return trigger


def amazon(*, poll_seconds: int, logs: bool) -> Callable[[Job], BaseTrigger]:
    """The amazon provider's trigger, which shows no logs; it may look as often as the wait needs."""
    from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger

    assert not logs, "the amazon provider's trigger shows no logs"
    return lambda job: SageMakerTrigger(
        job_name=job.name,
        job_type="processing",
        waiter_delay=poll_seconds,
        waiter_max_attempts=1_000_000,
        aws_conn_id=None,
        region_name=REGION,
    )


def job_status(contender: str, payload: dict[str, Any]) -> str:
    """Say how a contender's event says that the job ended: ours leaves Stopped and Failed to the task that reads it."""
    if contender == "ours":
        return str(payload.get("status") or payload["outcome"])
    said = str(payload["status"])
    return {"success": "Completed", "failed": "Failed", "stopped": "Stopped"}.get(said, said)


CONTENDERS: dict[str, Callable[..., Callable[[Job], BaseTrigger]]] = {"ours": ours, "amazon": amazon}
