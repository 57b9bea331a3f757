"""Wait without a worker for a job that something else starts."""

from __future__ import annotations

import asyncio
import math
import random
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_processing.exceptions import JobNotFoundError, ProcessingError, TransientError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing.aws_calls import answer_read
from airflow_sm_processing.processing.search import JobLookup, NewestJob
from airflow_sm_processing.processing.values import DEFAULT_POLL_INTERVAL
from airflow_sm_processing.triggers.events import settled
from airflow_sm_processing.triggers.shared_watcher import shared_watcher
from airflow_sm_processing.watcher.queries import checked_page, status_of
from airflow_sm_processing.watcher.watches import JobEnd, JobOutcome, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_sm_processing.triggers.shared_watcher import TriggerWatcher


__all__ = ["JobSensorTrigger"]


class JobSensorTrigger(BaseTrigger):
    """Fires once, when the job is there and has ended, or its deadline has passed; it stops no job, whatever happens.

    A job whose name is known is left to the watcher that all triggers of the connection share, from before it is made.
    """

    def __init__(
        self,
        lookup: dict[str, Any],
        connection: dict[str, Any] | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        deadline: float | None = None,
    ) -> None:
        """Accept plain values only: they go through Airflow's database.

        Args:
            lookup: The fields of a `JobLookup`.
            connection: The fields of an `AwsConnection`.
            poll_interval: The end is seen at most so many seconds after it came.
            deadline: When to fire at the latest, in seconds since the epoch.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.lookup = JobLookup(**lookup)
        self.connection = AwsConnection(**(connection or {}))
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "lookup": asdict(self.lookup),
            "connection": self.connection.serialize(),
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield the one event: `outcome`, a `JobOutcome`, with its `message`, and the `deadline`."""
        began = time.monotonic()
        self.log.info("Waiting for %s", self.lookup)
        async with shared_watcher(self.connection) as shared:
            try:
                end = await asyncio.wait_for(self._end(shared), self._seconds_left())
            except asyncio.TimeoutError:
                end = JobEnd(JobOutcome.DEADLINE)
            except ProcessingError as error:  # such as a denied listing
                end = JobEnd(JobOutcome.TROUBLE, str(error))
            await settled(began)
        payload = {"outcome": end.outcome.value, "message": end.message, "deadline": self.deadline}
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's is untyped

    def _seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    async def _end(self, shared: TriggerWatcher) -> JobEnd:
        name = self.lookup.job_name if self.lookup.name_is_exact else None
        return await shared.jobs.end_of(
            Watch(
                job_name=name or await self._appeared(shared),
                poll_interval=self.poll_interval,
                stop_at_deadline=False,
                max_transient_seconds=math.inf,
                may_be_missing=True,
            )
        )

    async def _appeared(self, shared: TriggerWatcher) -> str:
        """Look for the job until it is there, and return its name."""
        while True:
            try:
                name = await self._found(shared)
            except TransientError as error:
                self.log.warning("%s Searching again.", error)
                name = None
            if name is not None:
                self.log.info("Waiting for processing job %s", name)
                return name
            await asyncio.sleep(self.poll_interval * random.uniform(0.9, 1.1))  # noqa: S311  # spreads the calls

    async def _found(self, shared: TriggerWatcher) -> str | None:
        name = self.lookup.job_name
        if name is not None:
            request = {"ProcessingJobName": name}
            try:
                answer = await shared.calls.sagemaker("describe_processing_job", name, request)
            except JobNotFoundError:
                return None
            with answer_read("DescribeProcessingJob", name):
                status_of(name, answer)
                return str(answer["ProcessingJobName"])
        search = NewestJob(self.lookup)
        while search.request is not None:
            answer = await shared.calls.sagemaker("list_processing_jobs", str(self.lookup), search.request)
            with answer_read("ListProcessingJobs", str(self.lookup)):
                search.take(checked_page(answer))
        return search.found
