"""Jobs that have ended, which leave room for others of their kind, on the local SageMaker."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.triggers.shared_watcher import shared_watcher
from airflow_sm_processing.watcher.capacity import EndedJobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob

    JobFactory = Callable[..., ProcessingJob]


async def counts(queue_key: str, *moments: float, noted: str | None = None) -> list[int | None]:
    async with shared_watcher(AwsConnection()) as shared:
        ended = EndedJobs(shared.calls, queue_key)
        if noted is not None:
            ended.note(noted)
        return [await ended.since(moment) for moment in moments]


def test_an_ended_job_of_the_lane_is_found_once(job_factory: JobFactory) -> None:
    began = time.time() + 10  # so much before it is looked for, for clocks differ: where other tests' jobs have ended
    kind = "ml.r5.24xlarge"  # none of theirs is of
    job = job_factory("pass", instance_type=kind)
    job_factory("import time; time.sleep(600)", instance_type=kind)
    job.wait(logs=False)
    assert asyncio.run(counts(f"ml.none,{kind}", began, began, time.time() + 60)) == [1, 0, 0]
    assert asyncio.run(counts("ml.none", began)) == [0]
    assert asyncio.run(counts(kind, began, noted=job.job_name)) == [0]


def test_where_listing_is_denied_nothing_is_known(sagemaker: LocalSageMaker, job_factory: JobFactory) -> None:
    job_factory("pass").wait(logs=False)
    sagemaker.set_faults("ListProcessingJobs:error=AccessDeniedException")
    assert asyncio.run(counts("ml.m5.xlarge", time.time())) == [None]
