"""What it costs to begin to watch many jobs that are old: a triggerer's restart."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.watcher.watches import JobOutcome

from .account import DESCRIBE, LIST, Account, Job
from .virtual_time import run
from .world import World, lateness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .world import Seen

TOLD = 90
"""When a start is over: each job was looked at, and a sweep or two have passed."""
ROUNDS = 90 / (0.85 * 5) + 1

SERVICES: dict[str, dict[str, Any]] = {
    "keeps ties": {},
    "loses ties": {"loses_ties": True},
    "loses ties, whatever it is to sort by": {"loses_ties": True, "sorts_by_name": False},
}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How a service lists jobs that were created in the same second."""
    return SERVICES[request.param]


async def start(world: World, names: Iterable[str], **options: Any) -> list[asyncio.Task[Seen]]:
    """Watch jobs as a triggerer begins to: fifty at a time, with a second between."""
    names, watches = list(names), []
    for first in range(0, len(names), 50):
        watches += [world.watch(name, **options) for name in names[first : first + 50]]
        await asyncio.sleep(1)
    return watches


async def give_up(watches: list[asyncio.Task[Seen]]) -> None:
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)


def digest(number: int) -> str:
    return f"{random.Random(number).getrandbits(32):08x}"


@pytest.mark.parametrize("since", [-36_000.0, -1800.0, None], ids=["hours ago", "within the hour", "unknown"])
@pytest.mark.parametrize("count", [200, 1000])
def test_jobs_of_one_second_cost_about_one_call_for_each_hundred(
    count: int, since: float | None, service: dict[str, Any]
) -> None:
    async def main() -> None:
        created_at = -36_000.0 if since is None else since
        account = Account((Job(f"job-{n:05}", created_at=created_at) for n in range(count)), **service)
        async with World.over(account) as world:
            watches = await start(world, account.jobs, since=since)
            await world.until(TOLD)
            await give_up(watches)

        calls = account.counts(0, TOLD)
        assert calls[DESCRIBE] <= 20
        assert calls.total() <= ROUNDS + 12 + 4 * count / 100  # a first look, a sweep or two, and what ties cost
        assert not any(watch.done() and not watch.cancelled() for watch in watches)

    run(main())


@pytest.mark.parametrize("name", ["job-{0:05}", "dag-task-20260101-{1}"])
def test_jobs_that_ended_while_the_triggerer_was_away_are_listed_too(name: str, service: dict[str, Any]) -> None:
    async def main() -> None:
        account = Account(**service)
        for n in range(1000):
            account.add(name.format(n, digest(n)), (-100.0, "Completed"))
        async with World.over(account) as world:
            watches = await start(world, account.jobs, since=-36_000.0)
            await world.until(60)
            ends = [watch.result() for watch in watches]

        assert Counter(seen.outcome for seen in ends) == {JobOutcome.ENDED: 1000}
        assert account.counts().total() <= 1000 / 5

    run(main())


def test_names_that_tell_nothing_cost_a_few_calls_more_than_a_description_for_each() -> None:
    async def main() -> None:
        account = Account(Job(f"{digest(n)}-job", history=[(-100, "Failed")]) for n in range(300))
        for n in range(3000):
            account.add(f"{digest(1000 + n)}-other", (-50.0, "Completed"))
        async with World.over(account) as world:
            watches = [world.watch(name, since=-36_000.0) for name in account.jobs if name.endswith("-job")]
            await world.until(60)
            ends = [watch.result() for watch in watches]

        assert {seen.outcome for seen in ends} == {JobOutcome.ENDED}
        assert account.counts().total() <= 300 + 20

    run(main())


def test_a_job_that_no_listing_shows_is_described(service: dict[str, Any]) -> None:
    async def main() -> None:
        account = Account((Job(f"job-{n:05}") for n in range(500)), **service)
        account.add("job-00007-unlisted", (-100.0, "Failed"), listed=False)
        account.add("job-00008-unlisted", (70.0, "Failed"), listed=False)
        async with World.over(account) as world:
            watches = await start(world, sorted(account.jobs), since=-36_000.0)
            ended, later = (watches[sorted(account.jobs).index(f"job-0000{n}-unlisted")] for n in (7, 8))
            seen = await ended, await later
            await give_up(watches)

        assert [end.outcome for end in seen] == [JobOutcome.ENDED, JobOutcome.ENDED]
        assert seen[0].at <= 15
        assert seen[1].at <= 70 + 75
        assert account.counts()[DESCRIBE] <= 20

    run(main())


def test_the_ends_of_jobs_of_one_second_are_seen_in_time_though_a_page_does_not_hold_them() -> None:
    async def main() -> None:
        account = Account(
            (Job(f"job-{n:05}", history=[(120 + n / 60, "Completed")]) for n in range(1000)), loses_ties=True
        )
        async with World.over(account) as world:
            watches = await start(world, account.jobs, since=-36_000.0)
            ends = dict(zip(account.jobs, await asyncio.gather(*watches), strict=True))

        assert lateness(account, ends)[-1] <= 5.1
        assert account.counts(120)[LIST] <= 40

    run(main())


def test_a_first_look_that_takes_long_makes_no_later_one_dearer() -> None:
    """Ten pages take a round so long that the next looks hurry: they ask for spans of whole seconds."""

    async def main() -> None:
        account = Account(Job(f"job-{n:05}") for n in range(1000))
        spans = []

        def record(operation: str, request: Any) -> None:
            if operation == LIST and "LastModifiedTimeBefore" in request:
                spans.append((request["LastModifiedTimeAfter"], request["LastModifiedTimeBefore"]))

        account.faults.append(record)
        async with World.over(account, latency=0.5) as world:
            watches = await start(world, account.jobs, since=-36_000.0, poll_interval=0.5)
            await world.until(30)
            await give_up(watches)

        assert spans
        assert all(after.replace(microsecond=0) < before for after, before in spans)

    run(main())
