"""Each completion is one event, wherever a triggerer is killed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_sm_processing.assets.listener import ACKNOWLEDGEMENT
from airflow_sm_processing.exceptions import AccessDeniedError, TransientError
from airflow_sm_processing.watcher.completions import OVERLAP, JobFilter
from tests.unit.watcher.virtual_time import run

from .world import KEY, Job, World, moment

FEATURES = JobFilter(job_name_prefix="features-")
JOBS = [
    Job(name="features-before", ends=-10.0),
    Job(name="features-1", ends=4.0),
    Job(name="features-2", ends=4.0),
    Job(name="features-3", ends=12.0, shown=30.0),
    Job(name="other-1", ends=5.0),
    Job(name="features-4", ends=31.0),
    Job(name="features-5", ends=31.5),
]
EXPECTED = ["features-1", "features-2", "features-3", "features-4", "features-5"]
LAST = 150.0
BEGUN = 4
"""The step of a first life after which its beginning is remembered; one who is killed before hasn't begun."""


async def lives(world: World, *kills: int, job_filter: JobFilter = FEATURES, pause: float = 5.0) -> None:
    """Run triggerers one after the other; each but the last is killed after so many steps of its life."""
    for kill in kills:
        world.killed_at = world.steps + kill
        await world.live(job_filter, until=LAST)
        await asyncio.sleep(pause)
    world.killed_at = None
    await world.live(job_filter, until=LAST + 60 * len(kills))


def test_completions_are_told_in_their_order_and_none_from_before_the_beginning() -> None:
    world = World(JOBS)
    run(lives(world))
    assert world.told == ["features-1", "features-2", "features-4", "features-5", "features-3"]


def steps_of_a_whole_life() -> int:
    world = World(JOBS)
    run(lives(world))
    return world.steps


@pytest.mark.parametrize("second", [None, 2, 5, 9, 14])
def test_whenever_a_triggerer_is_killed_each_completion_is_one_event(second: int | None) -> None:
    wrong = {}
    for first in range(1, steps_of_a_whole_life() + 1):
        world = World(JOBS)
        run(lives(world, first, *([] if second is None else [second])))
        begins = [] if first < BEGUN else EXPECTED
        if sorted(world.told) != sorted(set(world.told)) or not set(begins) <= set(world.told):
            wrong[first] = world.told
    assert wrong == {}


def test_without_receipts_a_kill_may_repeat_what_was_told_seconds_before_and_loses_nothing() -> None:
    repeated = 0
    for first in range(BEGUN, steps_of_a_whole_life() + 1):
        world = World(JOBS, is_acknowledged=False)
        run(lives(world, first))
        assert set(world.told) == set(EXPECTED), first
        repeated += len(world.told) - len(EXPECTED)
    assert repeated > 0


def test_without_receipts_a_kill_amid_much_news_repeats_what_was_told_in_the_last_seconds() -> None:
    jobs = [Job(name=f"features-{number:02}", ends=20.0) for number in range(60)]
    repeated = []
    for first in range(60, 400, 20):
        world = World(jobs, is_acknowledged=False, call_seconds=0.25)
        run(lives(world, first))
        assert sorted(set(world.told)) == [job.name for job in jobs], first
        repeated.append(len(world.told) - len(jobs))
    assert 0 < max(repeated) <= 4 * 7  # four a second are told; saved is every three what is three old


def test_what_was_told_before_trouble_is_remembered_in_spite_of_it() -> None:
    jobs = [Job(name=f"features-{number}", ends=4.0) for number in range(5)]
    world = World(jobs, is_acknowledged=False)
    denied = AccessDeniedError("No.", operation="DescribeProcessingJob", code="AccessDenied")
    world.faults = [None] * 7 + [denied] * 100  # the beginning, a look at nothing, one of three pages, two jobs

    async def live_twice() -> None:
        await world.live(FEATURES, until=40.0)
        assert len(world.told) == 2
        world.faults = []
        await world.live(FEATURES, until=200.0)

    run(live_twice())
    assert sorted(world.told) == [job.name for job in jobs]


def test_a_memory_in_trouble_amid_other_trouble_is_told_of_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    jobs = [Job(name=f"features-{number}", ends=8.0) for number in range(3)]
    world = World(jobs, is_acknowledged=False)
    save = world.save

    async def no_save(key: str, value: object) -> None:
        raise ConnectionError("no database")

    async def live_twice() -> None:
        await world.live(FEATURES, until=5.0)
        world.faults = [None] * 4 + [AccessDeniedError("No.", operation="DescribeProcessingJob", code="AccessDenied")]
        world.save = no_save  # type: ignore[method-assign]
        await world.live(FEATURES, until=25.0)
        world.save = save  # type: ignore[method-assign]
        await world.live(FEATURES, until=100.0)

    run(live_twice())
    assert "Can't save which completions were delivered, for now: ConnectionError('no database')" in caplog.messages
    assert set(world.told) == {job.name for job in jobs}


def test_only_a_memory_that_gives_receipts_is_asked_for_one() -> None:
    for is_acknowledged in (True, False):
        world = World(JOBS, is_acknowledged=is_acknowledged)
        run(lives(world))
        assert {ACKNOWLEDGEMENT in event for event in world.events} == {is_acknowledged}
        assert len({event["completion"] for event in world.events}) == len(EXPECTED)


def test_a_frozen_triggerer_that_wakes_up_tells_nothing_that_another_has_told() -> None:
    world = World(JOBS)

    async def both() -> None:
        await asyncio.gather(
            world.live(FEATURES, until=LAST, poll_interval=10.0), world.live(FEATURES, until=LAST, poll_interval=17.0)
        )

    run(both())
    assert sorted(world.told) == EXPECTED


def test_what_completed_while_nobody_looked_is_told_hours_later() -> None:
    world = World([*JOBS, Job(name="features-6", ends=LAST + 100.0)])

    async def apart() -> None:
        await world.live(FEATURES, until=LAST)
        await asyncio.sleep(3 * 3600)
        await world.live(FEATURES, until=moment() + 60)

    run(apart())
    assert sorted(world.told) == [*EXPECTED, "features-6"]


def test_a_job_that_is_changed_after_it_was_told_is_no_news() -> None:
    world = World([Job(name="features-1", ends=4.0, modified=2 * OVERLAP)])
    run(lives_until(world, 4 * OVERLAP))
    assert world.told == ["features-1"]


def test_a_name_that_is_used_again_is_another_completion() -> None:
    world = World([Job(name="features-1", ends=4.0), Job(name="features-1", ends=40.0, created=20.0)])
    run(lives(world))
    assert world.told == ["features-1", "features-1"]


def test_the_memory_stays_small() -> None:
    world = World(JOBS)
    run(lives_until(world, 3 * OVERLAP))
    assert set(world.store) == {KEY}
    assert (world.store[KEY]["known"], world.store[KEY]["spent_receipts"]) == ({}, [])


def test_tags_are_asked_for_once_and_only_of_jobs_whose_names_fit() -> None:
    jobs = [
        Job(name="features-1", ends=4.0, tags={"team": "ml", "stage": "prod"}),
        Job(name="features-2", ends=4.0, tags={"team": "ops"}),
        Job(name="features-3", ends=4.0),
        Job(name="other-1", ends=4.0, tags={"team": "ml"}),
    ]
    world = World(jobs)
    run(lives(world, job_filter=JobFilter(job_name_pattern="features-[0-9]", tags={"team": "ml", "stage": None})))
    assert (world.told, world.calls.count("list_tags")) == (["features-1"], 3)


def test_trouble_is_waited_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    refused = AccessDeniedError("Not allowed.", operation="ListProcessingJobs", code="AccessDeniedException")
    throttled = TransientError("Too many calls.", operation="DescribeProcessingJob", code="ThrottlingException")
    world = World(JOBS, faults=[None, refused, None, None, None, throttled])
    with caplog.at_level(logging.WARNING):
        run(lives(world))
    assert sorted(world.told) == EXPECTED
    assert [record.getMessage() for record in caplog.records] == [
        f"Can't read completed jobs for now; none is lost: {refused!r}",
        "Can't read completed jobs for now; none is lost: Too many calls.",
    ]


def test_an_airflow_that_gives_no_receipts_though_it_should_is_named(caplog: pytest.LogCaptureFixture) -> None:
    world = World(JOBS)
    world._store_event = world.events.append  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        run(lives(world))
    assert sorted(world.told) == EXPECTED
    assert {record.getMessage() for record in caplog.records} >= {
        "No acknowledgement of 2 events came. Is the plugin airflow_sm_processing_assets loaded?"
    }


async def lives_until(world: World, until: float) -> None:
    await world.live(FEATURES, until=until)
