"""A job is stopped when its task no longer waits for it, and only then, whatever Airflow's cancellation means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.triggers import processing
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

from .airflow_stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.processing import ProcessingJob

    JobFactory = Callable[[str], ProcessingJob]

SLEEPS = "import time; time.sleep(600)"
STOPPED = {"Stopping", "Stopped"}


@pytest.mark.parametrize("map_index", [-1, 3])
@pytest.mark.parametrize(
    ("states", "own_name", "stopped"),
    [
        (["failed"], True, True),
        (["success"], True, True),
        (["skipped"], True, True),
        ([None], True, True),
        (["scheduled"], True, True),
        (["deferred"], False, True),
        (["running", "running", "deferred"], True, False),
        (["running", "scheduled"], True, True),
        (["deferred"], True, False),
    ],
    ids=[
        "marked failed",
        "marked success",
        "the run's time is over",
        "cleared",
        "cleared, and scheduled again",
        "cleared, and deferred again for another job",
        "taken over by another triggerer, seen in between",
        "cleared while the next try begins",
        "taken over by another triggerer",
    ],
)
def test_on_kill(
    monkeypatch: pytest.MonkeyPatch,
    job_factory: JobFactory,
    states: list[str | None],
    own_name: bool,
    stopped: bool,
    map_index: int,
):
    job = job_factory(SLEEPS)
    airflow = StandIn(list(states), {"job_name": job.job_name if own_name else "another-job"}, map_index)
    airflow.install(monkeypatch)
    asyncio.run(airflow.adopt(ProcessingJobTrigger(job.job_name)).on_kill())
    assert (job.description().status.value in STOPPED) is stopped
    assert airflow.asked == len(states)


@pytest.mark.parametrize(
    ("states", "recorded", "shown"),
    [
        (["failed"], None, "Stopping"),
        (["skipped"], None, "Stopping"),
        (["failed"], "another-job", "InProgress"),
        (["scheduled"], None, "InProgress"),
    ],
    ids=["marked failed", "the run's time is over", "another job is recorded", "cleared"],
)
def test_a_stop_is_recorded_where_no_other_job_will_be(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, states: list[str | None], recorded: str | None, shown: str
):
    job = job_factory(SLEEPS)
    record = {"job_name": recorded or job.job_name, "status": "InProgress", "try_number": 1}
    airflow = StandIn(list(states), {"job_name": job.job_name, "_job": dict(record)})
    airflow.install(monkeypatch)
    asyncio.run(airflow.adopt(ProcessingJobTrigger(job.job_name)).on_kill())
    kept = airflow.xcoms["_job"]
    assert {name: kept[name] for name in record} == {**record, "status": shown}
    assert ("stop_requested_at" in kept) is (shown == "Stopping")
    assert job.description().status.value in STOPPED


def test_the_end_of_a_stopped_job_is_recorded_when_it_has_come(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory
):
    job = job_factory(SLEEPS)
    record = {"job_name": job.job_name, "status": "InProgress", "try_number": 1, "ended_at": None}
    airflow = StandIn(["failed"], {"job_name": job.job_name, "_job": record})
    airflow.install(monkeypatch)

    async def killed() -> None:
        await airflow.adopt(ProcessingJobTrigger(job.job_name, poll_interval=1)).on_kill()
        assert airflow.xcoms["_job"]["status"] == "Stopping"
        await asyncio.gather(*processing._under_way)

    asyncio.run(killed())
    kept, description = airflow.xcoms["_job"], job.description()
    assert (kept["status"], kept["duration_seconds"]) == ("Stopped", description.duration_seconds)
    assert kept["ended_at"] is not None
    assert kept["stop_requested_at"] is not None


@pytest.mark.parametrize("state", ["scheduled", "running"])
def test_the_end_of_a_stopped_job_is_not_recorded_over_the_next_trys(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, state: str
):
    job = job_factory(SLEEPS)
    airflow = StandIn(["failed", "failed", state], {"job_name": job.job_name, "_job": {"job_name": job.job_name}})
    airflow.install(monkeypatch)

    async def killed() -> None:
        await airflow.adopt(ProcessingJobTrigger(job.job_name, poll_interval=1)).on_kill()
        await asyncio.gather(*processing._under_way)

    asyncio.run(killed())
    assert airflow.xcoms["_job"]["status"] == "Stopping"


def test_on_kill_goes_on_when_airflow_cancels_it_again(monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory):
    """Airflow repeats its cancellation each second."""
    job = job_factory(SLEEPS)
    airflow = StandIn(["running", "running", "failed"], {"job_name": job.job_name})
    airflow.install(monkeypatch)

    async def killed() -> None:
        killing = asyncio.create_task(airflow.adopt(ProcessingJobTrigger(job.job_name)).on_kill())
        await airflow.was_asked()
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        assert airflow.asked == 1
        await asyncio.gather(*processing._under_way)

    asyncio.run(killed())
    assert job.description().status.value in STOPPED


@pytest.mark.parametrize(("state", "stopped"), [("failed", True), ("deferred", False)])
def test_an_airflow_without_on_kill_is_asked_whenever_a_trigger_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, state: str, stopped: bool
):
    job = job_factory(SLEEPS)
    airflow = StandIn([state], {"job_name": job.job_name})
    airflow.install(monkeypatch)
    monkeypatch.setattr(processing, "AIRFLOW_CALLS_ON_KILL", False)

    async def cancelled() -> None:
        async def run() -> None:
            async for _ in airflow.adopt(ProcessingJobTrigger(job.job_name)).run():
                raise AssertionError("fired")

        running = asyncio.create_task(run())
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(cancelled())
    assert (job.description().status.value in STOPPED) is stopped
