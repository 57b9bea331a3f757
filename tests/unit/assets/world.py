"""A SageMaker, and an Airflow whose triggerer may be killed between any two of its steps."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.assets.listener import ACKNOWLEDGEMENT
from airflow_sm_processing.triggers.completions import CompletionEmitter
from tests.unit.watcher.virtual_time import START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_sm_processing.watcher.completions import JobFilter

KEY = "the-key"
SYNC_SECONDS = 1.0
"""How often the triggerer's runner passes its events to its supervisor, which stores them, in seconds."""


class KilledError(BaseException):
    """The triggerer is gone."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that completes; times in seconds from the start."""

    name: str
    ends: float
    created: float = -100.0
    shown: float = 0.0
    """Seconds from the end until the listing shows it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    modified: float | None = None
    """When something about it was changed later on."""


def moment() -> float:
    return asyncio.get_running_loop().time()


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, timezone.utc)


@dataclass
class World:
    """What outlives a triggerer: jobs, the asset's state store, and the stored events."""

    jobs: list[Job]
    is_acknowledged: bool = True
    store: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    call_seconds: float = 0.01
    faults: list[Exception | None] = field(default_factory=list)
    """What the next AWS calls raise."""
    steps: int = 0
    killed_at: int | None = None
    """The step at which the triggerer is killed next."""

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.killed_at:
            self.killed_at = None
            raise KilledError

    # The memory
    async def load(self, key: str) -> Any:
        await self._pause()
        return self.store.get(key)

    async def save(self, key: str, value: Any) -> None:
        await self._pause()
        self.store[key] = json.loads(json.dumps(value))
        await self._pause()

    async def delete(self, key: str) -> None:
        await self._pause()
        self.store.pop(key, None)
        await self._pause()

    # SageMaker
    async def sagemaker(self, method: str, subject: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        del subject
        self.calls.append(method)
        await self._pause(self.call_seconds)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        answer: Mapping[str, Any] = getattr(self, f"_{method}")(request)
        return answer

    def _list_processing_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        after = request.get("LastModifiedTimeAfter") or request["CreationTimeAfter"]
        found = [
            job
            for job in self.jobs
            if job.ends + job.shown <= moment()
            and at(self._modified(job)) > after
            and request.get("NameContains", "") in job.name
        ]
        first, size = int(request.get("NextToken", 0)), 2  # small pages: there are several
        page = [
            {
                "ProcessingJobName": job.name,
                "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{job.name}",
                "CreationTime": at(job.created),
                "ProcessingEndTime": at(job.ends),
                "LastModifiedTime": at(self._modified(job)),
                "ProcessingJobStatus": "Completed",
            }
            for job in found[first : first + size]
        ]
        more = {"NextToken": str(first + size)} if len(found) > first + size else {}
        date = formatdate(int(START + moment()), usegmt=True)
        return {
            "ProcessingJobSummaries": page,
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
            **more,
        }

    def _describe_processing_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        job = next(job for job in self.jobs if job.name == request["ProcessingJobName"])
        output = {"OutputName": "train", "S3Output": {"S3Uri": f"s3://bucket/{job.name}", "LocalPath": "/opt/ml/x"}}
        return {
            "ProcessingJobName": job.name,
            "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{job.name}",
            "ProcessingJobStatus": "Completed",
            "ProcessingOutputConfig": {"Outputs": [output]},
            "ProcessingEndTime": at(job.ends),
        }

    def _list_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        job = next(job for job in self.jobs if request["ResourceArn"].endswith(f"/{job.name}"))
        return {"Tags": [{"Key": key, "Value": value} for key, value in job.tags.items()]}

    def _modified(self, job: Job) -> float:
        return job.modified if job.modified is not None and job.modified <= moment() else job.ends

    async def _pause(self, seconds: float = 0.01) -> None:
        self.step()
        await asyncio.sleep(seconds)

    # The triggerer
    async def live(self, job_filter: JobFilter, *, until: float, poll_interval: float = 10.0) -> bool:
        """Run a triggerer until that moment, and tell whether it was killed before."""
        queue: list[dict[str, Any]] = []
        emitter = CompletionEmitter(self, job_filter, self, key=KEY, poll_interval=poll_interval)  # type: ignore[arg-type]

        async def tell() -> None:
            async for payload in emitter.payloads():
                queue.append(payload)  # noqa: PERF401  # it ends at no time, and others read the list meanwhile

        async def sync() -> None:
            while True:
                await asyncio.sleep(SYNC_SECONDS)
                while queue:
                    self.step()
                    self._store_event(queue.pop(0))
                    self.step()

        tasks = {asyncio.ensure_future(tell()), asyncio.ensure_future(sync())}
        done, _ = await asyncio.wait(tasks, timeout=until - moment(), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        unexpected = [item for item in results if not isinstance(item, (KilledError, asyncio.CancelledError))]
        assert not unexpected, unexpected
        return bool(done)

    def _store_event(self, payload: dict[str, Any]) -> None:
        """Store an event and its receipt: in one transaction, as the listener does."""
        self.events.append(payload)
        if self.is_acknowledged:
            self.store[payload[ACKNOWLEDGEMENT]] = True

    @property
    def told(self) -> list[str]:
        return [event["job_name"] for event in self.events]
