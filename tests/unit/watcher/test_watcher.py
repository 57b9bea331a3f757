"""What each waiter is told, when, and how many calls it costs."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from airflow_sm_processing.watcher.watches import JobOutcome

from .account import DESCRIBE, LIST, Account, Job
from .virtual_time import run
from .world import World, lateness


@pytest.mark.parametrize("count", [50, 1000])
def test_a_round_costs_one_call_for_each_hundred_changed_jobs_whatever_is_watched(count: int) -> None:
    async def main() -> None:
        account = Account.of_ends(count, 300, 360)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        late = lateness(account, ends)
        assert 0 <= late[0] <= late[-1] <= 5.1
        pages_of_sweeps = 4 * max(count // 100, 1)
        rounds = account.counts(60, 300)[LIST] - pages_of_sweeps
        assert 240 / 5 <= rounds <= 240 / (0.85 * 5)  # the jitter only ever shortens a pause
        pages_of_ends = account.counts(300)[LIST] - (pages_of_sweeps // 4)
        assert pages_of_ends <= 60 / (0.85 * 5) + 2 * count / 100  # a page more where the overlap fills one
        assert account.counts()[DESCRIBE] == 0

    run(main())


def test_one_watched_job_costs_one_call_a_round() -> None:
    async def main() -> None:
        account = Account([Job("job", history=[(3600, "Failed")])])
        async with World.over(account) as world:
            ends = await world.ends_of(["job"], poll_interval=10)

        assert lateness(account, ends)[-1] <= 10.1
        assert account.counts().keys() == {DESCRIBE}
        assert 3600 / 10 <= account.counts()[DESCRIBE] <= 3600 / 8.5 + 1

    run(main())


def test_few_jobs_in_an_account_busy_with_others_are_described_and_listing_is_tried_again_later() -> None:
    async def main() -> None:
        account = Account.of_ends(3000, 0, 60)  # 250 a round, where two pages show 200
        account.add("one", (900, "Completed"))
        account.add("two", (901, "Completed"))
        for job in list(account.jobs.values())[:3000]:
            job.history = [(moment, "InProgress") for moment in range(int(job.history[0][0]) % 60, 900, 60)]
        async with World.over(account) as world:
            ends = await world.ends_of(["one", "two"])

        assert lateness(account, ends)[-1] <= 5.3
        rounds = account.counts()[DESCRIBE] / 2
        assert 900 / 5 <= rounds <= 900 / (0.85 * 5) + 1
        assert account.counts()[LIST] <= 2 * (5 + rounds / 17)  # after 1, 2, 4, 8, then 16 rounds of describing
        assert account.counts(700)[LIST] >= 2

    run(main())


@pytest.mark.parametrize("since", [-7200.0, None])
def test_a_restarted_triggerer_sees_in_its_first_round_what_ended_before(since: float | None) -> None:
    async def main() -> None:
        account = Account.of_ends(1000, -3600, 400)  # of which 900 have ended
        async with World.over(account) as world:
            watches = [world.watch(name, since=since) for name in account.jobs]
            await world.until(15)
            seen = [watch.result() for watch in watches if watch.done()]
            for watch in watches:
                watch.cancel()

        assert Counter(end.outcome for end in seen) == {JobOutcome.ENDED: len(seen)}
        assert len(seen) >= 900
        assert account.counts(0, 15).total() <= 40  # one for each page of a hundred, most of them full, and the rounds

    run(main())


def test_a_first_look_at_few_jobs_among_thousands_costs_two_calls_for_each_at_most() -> None:
    async def main() -> None:
        account = Account([Job(f"job-{n}", created_at=-100, history=[(-50, "Failed")]) for n in range(10)])
        for n in range(3000):
            account.add(f"other-{n}", created_at=-200)
        async with World.over(account) as world:
            ends = await world.ends_of([f"job-{n}" for n in range(10)])

        assert {seen.outcome for seen in ends.values()} == {JobOutcome.ENDED}
        assert account.counts() == {LIST: 10, DESCRIBE: 10}

    run(main())


def test_what_ended_within_the_hour_before_its_watch_began_is_listed() -> None:
    async def main() -> None:
        account = Account.of_ends(1000, -60, 60)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=-100)

        assert max(seen.at for name, seen in ends.items() if account.jobs[name].ended_at() < 0) < 8
        assert account.counts(0, 8) == {LIST: 8}

    run(main())


@pytest.mark.parametrize("clock_ahead", [-300.0, 300.0])
def test_a_clock_that_is_wrong_by_minutes_makes_no_end_late_and_costs_a_few_calls(clock_ahead: float) -> None:
    async def main() -> None:
        account = Account.of_ends(500, -60, 60, clock_ahead=clock_ahead)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=-100)

        assert max(seen.at for name, seen in ends.items() if account.jobs[name].ended_at() < 0) < 8
        assert max(seen.at - account.jobs[name].ended_at() for name, seen in ends.items() if seen.at > 8) < 5.1
        assert account.counts(0, 8).keys() == {LIST}
        assert account.counts(0, 8)[LIST] <= 3 + 3 + 2
        assert account.counts()[DESCRIBE] <= 1  # of the last job, when it alone is watched

    run(main())


def test_a_watch_that_begins_after_its_jobs_end_was_listed_costs_no_call_of_its_own() -> None:
    async def main() -> None:
        account = Account.of_ends(10, 20, 30)
        account.add("long", (100, "Completed"))
        account.add("longer", (100, "Completed"))
        async with World.over(account) as world:
            others = [world.watch(name, since=0) for name in ["long", "longer", *list(account.jobs)[:3]]]
            await world.until(40)
            late = await world.ends_of([f"job-{n}" for n in range(3, 10)], since=0)
            await asyncio.gather(*others)

        assert max(seen.at for seen in late.values()) < 45.1
        assert account.counts(40, 45) == {LIST: 1}

    run(main())


def test_jobs_that_are_submitted_all_the_time_cost_no_calls_of_their_own() -> None:
    async def main() -> None:
        account = Account(Job(f"old-{n}") for n in range(100))
        for n in range(60):
            account.add(f"new-{n}", (400.0 + n, "Completed"), created_at=100.0 + 5 * n)
        async with World.over(account) as world:
            watches = [world.watch(f"old-{n}", since=0) for n in range(100)]
            for n in range(60):
                await world.until(102 + 5 * n)
                watches.append(world.watch(f"new-{n}", since=100.0 + 5 * n))
            rounds = account.counts(102, 397)
            for watch in watches:
                watch.cancel()

        assert rounds.keys() == {LIST}
        assert rounds[LIST] <= 295 / (0.85 * 5) + 2 * 6

    run(main())


def test_all_who_wait_for_a_job_are_told() -> None:
    async def main() -> None:
        account = Account.of_ends(1, 20, 20)
        async with World.over(account) as world:
            first = world.watch("job-0")
            await world.until(10)
            second = world.watch("job-0")
            ends = await asyncio.gather(first, second)

        assert [seen.outcome for seen in ends] == [JobOutcome.ENDED, JobOutcome.ENDED]
        assert max(seen.at for seen in ends) <= 20 + 5.1

    run(main())


def test_the_shortest_poll_interval_goes_for_all_while_it_is_asked_for() -> None:
    async def main() -> None:
        account = Account([Job("slow", history=[(1000, "Completed")]), Job("quick", history=[(503, "Completed")])])
        async with World.over(account) as world:
            slow = world.watch("slow", poll_interval=60)
            await world.until(300)
            quick = await world.end_of("quick", poll_interval=2)
            seen = await slow

        assert (quick.at - 503 <= 2.1, seen.at - 1000 <= 60.1) == (True, True)
        assert account.counts(0, 300)[DESCRIBE] <= 300 / 51
        assert 200 / 2 <= account.counts(300, 503)[LIST] <= 200 / 1.7 + 8
        assert sum(account.counts(510, 1000).values()) <= 490 / 51 + 2

    run(main())


@pytest.mark.parametrize("others", [0, 10])
def test_a_job_that_was_deleted_or_never_was_is_unknown_in_the_services_words(others: int) -> None:
    async def main() -> None:
        account = Account.of_ends(others, 1000, 1010)
        account.add("deleted")
        async with World.over(account) as world:
            rest = [world.watch(name, since=0) for name in account.jobs if name != "deleted"]
            deleted, never = world.watch("deleted", since=0), world.watch("never", since=0)
            await world.until(50)
            del account.jobs["deleted"]
            ends = await asyncio.gather(deleted, never)
            for watch in rest:
                watch.cancel()

        for name, seen, by in zip(("deleted", "never"), ends, (180, 50), strict=True):
            assert seen.outcome is JobOutcome.UNKNOWN
            assert f"ResourceNotFound: Could not find requested job with name: {name}" in str(seen.message)
            assert seen.at < by

    run(main())


def test_waiters_that_give_up_cost_nothing_more() -> None:
    async def main() -> None:
        account = Account.of_ends(20, 1000, 1000)
        async with World.over(account) as world:
            watches = [world.watch(name, deadline=500) for name in account.jobs]
            await world.until(100)
            for watch in watches:
                watch.cancel()
            await world.until(1000)

        assert account.counts(101) == {}

    run(main())


def test_closing_ends_a_call_that_is_under_way_and_leaves_no_task() -> None:
    async def main() -> None:
        account = Account.of_ends(20, 1000, 1000)
        world = World(account, latency=3.0)
        watches = [world.watch(name) for name in account.jobs]
        await world.until(8.5)
        await world.shared.close()
        assert asyncio.all_tasks() == {asyncio.current_task(), *watches}
        for watch in watches:
            watch.cancel()
        await world.until(1100)
        assert account.counts(8.5) == {}

    run(main())


def test_closing_at_once_leaves_no_task() -> None:
    async def main() -> None:
        await World(Account()).shared.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
