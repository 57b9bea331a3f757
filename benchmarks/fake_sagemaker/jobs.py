"""The jobs and their changes, each with its moment: what lies in the future hasn't happened."""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.fake_sagemaker.errors import name_in_use, quota_is_used_up, validation_error
from benchmarks.fake_sagemaker.plan import job_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.fake_sagemaker.plan import Plan

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/"
TERMINAL = ("Completed", "Failed", "Stopped")
STOPPING_SECONDS = 2.0


class Change(NamedTuple):
    """From this moment on, a job has this status."""

    at: float
    job: int
    status: str


@dataclass
class Job:
    """One processing job."""

    index: int
    name: str
    changes: list[Change] = field(default_factory=list)
    request: Mapping[str, Any] = field(default_factory=dict)
    """What CreateProcessingJob was asked for, if it was asked."""

    @property
    def created(self) -> float:
        return self.changes[0].at

    def change(self, now: float) -> Change:
        """Return the last change until now."""
        return next(change for change in reversed(self.changes) if change.at <= now)

    def summary(self, now: float) -> dict[str, Any]:
        """Return the job as ListProcessingJobs does."""
        change = self.change(now)
        summary: dict[str, Any] = {
            "ProcessingJobName": self.name,
            "ProcessingJobArn": ARN + self.name,
            "CreationTime": self.created,
            "LastModifiedTime": change.at,
            "ProcessingJobStatus": change.status,
        }
        if change.status in TERMINAL:
            summary["ProcessingEndTime"] = change.at
        if change.status == "Failed":
            summary["FailureReason"] = "AlgorithmError: , exit code: 1"
        return summary

    def description(self, now: float) -> dict[str, Any]:
        """Return the job as DescribeProcessingJob does."""
        return {
            "ProcessingStartTime": self.created,
            "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
            "AppSpecification": {"ImageUri": "image:1", "ContainerEntrypoint": ["python3", "/opt/ml/code/script.py"]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
            },
            "ProcessingInputs": [],
            "ProcessingOutputConfig": {"Outputs": []},
            "Environment": {},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            **{name: value for name, value in self.request.items() if name != "Tags"},
            **self.summary(now),
        }

    def tags(self) -> list[Mapping[str, str]]:
        """Return the tags as ListTags does."""
        return list(self.request.get("Tags", ()))


class Jobs:
    """All jobs of the account."""

    def __init__(self, plan: Plan, now: float) -> None:
        self._plan = plan
        self.loses_ties = plan.loses_ties
        self._jobs = [Job(index, job_name(index)) for index in range(plan.jobs)]
        self._by_name = {job.name: job for job in self._jobs}
        self._timeline: list[Change] = []
        self._chance = random.Random(plan.seed)
        self.started_at: float | None = None
        for job in self._jobs:
            created = now - plan.created_ago + plan.created_over * job.index / plan.jobs
            self._add(job, Change(round(created, 3), job.index, "InProgress"))

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def __getitem__(self, name: str) -> Job:
        try:
            return self._by_name[name]
        except KeyError:
            raise validation_error(f"Could not find requested job with name: {name}") from None

    def get(self, name: str) -> Job | None:
        return self._by_name.get(name)

    def create(self, request: Mapping[str, Any], now: float) -> Job:
        """Make a job, which completes by itself.

        Raises:
            ServiceError: The name is taken, or as many jobs run as the account allows.
        """
        name = request["ProcessingJobName"]
        if name in self._by_name:
            raise name_in_use(ARN + name)
        if self._plan.running is not None and self._running(now) >= self._plan.running:
            raise quota_is_used_up(self._plan.running)
        job = self._by_name[name] = Job(len(self._jobs), name, request=request)
        self._jobs.append(job)
        self._add(job, Change(round(now, 3), job.index, "InProgress"))
        seconds = self._plan.seconds * self._chance.uniform(0.5, 1.5)
        self._add(job, Change(round(now + seconds, 3), job.index, "Completed"))
        return job

    def _running(self, now: float) -> int:
        return sum(job.change(now).status not in TERMINAL for job in self._jobs)

    def start(self, now: float) -> float:
        """Let the jobs end from now on, as planned; return the moment that the plan counts from."""
        self.started_at = round(now, 3)
        for job, ending in zip(self._jobs, self._plan.endings(), strict=True):
            if job.changes[-1].status == "InProgress":  # or it was stopped before
                self._add(job, Change(round(self.started_at + ending.after, 3), job.index, ending.status))
        return self.started_at

    def stop(self, job: Job, now: float) -> None:
        """Stop a job that goes on; what was to come doesn't.

        Raises:
            ServiceError: The job has ended.
        """
        status = job.change(now).status
        if status in TERMINAL:
            raise validation_error(f"The request was rejected because the processing job is in status {status}.")
        if status == "Stopping":
            return
        self._timeline = [change for change in self._timeline if change.job != job.index or change.at <= now]
        job.changes = [change for change in job.changes if change.at <= now]
        self._add(job, Change(round(now, 3), job.index, "Stopping"))
        self._add(job, Change(round(now + STOPPING_SECONDS, 3), job.index, "Stopped"))

    def modified_between(self, after: float, now: float) -> Iterator[Job]:
        """Yield the jobs whose last change until now came later than `after`."""
        first = bisect_right(self._timeline, after, key=lambda change: change.at)
        last = bisect_right(self._timeline, now, key=lambda change: change.at)
        for change in self._timeline[first:last]:
            job = self._jobs[change.job]
            if job.change(now) is change:
                yield job

    def _add(self, job: Job, change: Change) -> None:
        job.changes.append(change)
        insort(self._timeline, change)
