"""Waits for a processing job without holding a worker."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing.defaults import DEFAULT_MAX_TRANSIENT_SECONDS, DEFAULT_POLL_INTERVAL
from airflow_sm_processing.processing.waiting import Patience
from airflow_sm_processing.triggers.deadlines import Deadline
from airflow_sm_processing.triggers.threads import in_thread, shared_hook
from airflow_sm_processing.triggers.waiting import job_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["ProcessingJobTrigger"]

log = logging.getLogger(__name__)

_STOP_SECONDS = 20.0  # Airflow gives on_kill 30 s by default


class ProcessingJobTrigger(BaseTrigger):
    """Fires once, with a `JobEvent`, when the job has ended or its deadline has passed."""

    def __init__(
        self,
        job_name: str,
        connection: dict[str, Any] | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        deadline: Sequence[Any] | None = None,
        max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS,
    ) -> None:
        """Take plain values only: they go through Airflow's database.

        Args:
            job_name: The job to wait for.
            connection: The fields of an `AwsConnection`.
            poll_interval: Seconds between two looks at the job.
            deadline: The fields of a `Deadline`; None waits as long as the job runs.
            max_transient_seconds: How long throttling, 5xx and lost connections are waited out.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.job_name = job_name
        self.connection = AwsConnection(**(connection or {}))
        self.poll_interval = poll_interval
        self.deadline = Deadline(*deadline) if deadline else None
        self.max_transient_seconds = max_transient_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments that make an equal trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "job_name": self.job_name,
            "connection": self.connection.serialize(),
            "poll_interval": self.poll_interval,
            "deadline": self.deadline and list(self.deadline),
            "max_transient_seconds": self.max_transient_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield the one event."""
        self.log.info("Waiting for processing job %s", self.job_name)
        event = await job_end(
            self.job_name,
            self.connection,
            poll_interval=self.poll_interval,
            deadline=self.deadline,
            max_transient_seconds=self.max_transient_seconds,
        )
        yield TriggerEvent(event.to_payload())  # type: ignore[no-untyped-call]  # Airflow's is untyped

    @classmethod
    def warn_if_airflow_has_no_on_kill(cls) -> None:
        """Say what a user of an Airflow older than 3.3 can't expect."""
        if not hasattr(BaseTrigger, "on_kill"):
            log.warning(
                "This Airflow doesn't tell triggers that a user ended their task (3.3 and newer do): marking or "
                "clearing the task while it is deferred leaves its processing job running."
            )

    async def on_kill(self) -> None:
        """Stop the job: a user marked or cleared the deferred task (Airflow 3.3 and newer call this)."""
        self.log.info("The task was ended by a user: stopping processing job %s", self.job_name)
        patience = Patience(_STOP_SECONDS)
        async with shared_hook(self.connection) as hook:
            while True:
                try:
                    return await in_thread(lambda: hook.job(self.job_name).stop())
                except TransientError as error:
                    patience.bear(error)
                await asyncio.sleep(1)
