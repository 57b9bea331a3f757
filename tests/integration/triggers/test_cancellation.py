"""A trigger that is cancelled, wherever it is, leaves nothing in the triggerer and its job alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import Fault
from airflow_sm_processing.triggers import shared_watcher
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob


LEAVES_NOTHING = ("a user did it", {}, set())


async def cancelled(trigger: ProcessingJobTrigger, *, after: float) -> tuple[object, dict[object, object], set[object]]:
    """Run a trigger, cancel it, and return the message that the cancellation arrives with, and what is left behind."""

    async def run() -> None:
        async for _ in trigger.run():
            raise AssertionError("fired")

    task = asyncio.create_task(run())
    await asyncio.sleep(after)
    assert shared_watcher._shared.keys(), "the trigger was to be cancelled while it waits"
    task.cancel("a user did it")  # Airflow's own message decides whether it calls on_kill
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value.args[0], dict(shared_watcher._shared), asyncio.all_tasks() - {asyncio.current_task()}


def test_between_two_looks(job_factory: Callable[[str], ProcessingJob]):
    job = job_factory("import time; time.sleep(600)")
    assert asyncio.run(cancelled(ProcessingJobTrigger(job.job_name, poll_interval=60), after=0.3)) == LEAVES_NOTHING
    assert job.description().status.value == "InProgress"


def test_while_it_looks(sagemaker: LocalSageMaker, job_factory: Callable[[str], ProcessingJob]):
    job = job_factory("import time; time.sleep(600)")
    sagemaker.set_faults(Fault(operation="DescribeProcessingJob", latency=3))
    assert asyncio.run(cancelled(ProcessingJobTrigger(job.job_name, poll_interval=0.01), after=1)) == LEAVES_NOTHING


@pytest.mark.parametrize("count", [200])
def test_many_triggers_wait_at_once(job_factory: Callable[[str], ProcessingJob], count: int):
    """A few threads and one hook serve them all; each fires once."""
    job = job_factory("import time; time.sleep(2)")

    async def outcome() -> list[str]:
        trigger = ProcessingJobTrigger(job.job_name, poll_interval=3)
        return [event.payload["outcome"] async for event in trigger.run()]

    async def all_of_them() -> list[list[str]]:
        return await asyncio.gather(*(outcome() for _ in range(count)))

    assert asyncio.run(all_of_them()) == [["ended"]] * count
    assert shared_watcher._shared == {}
