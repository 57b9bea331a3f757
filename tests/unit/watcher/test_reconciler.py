"""What the listing of changes shows late or never is seen all the same."""

from __future__ import annotations

from typing import Any

import pytest

from .account import LIST, Account, Job
from .virtual_time import run
from .world import World, lateness

ENDS = range(300, 420, 4)


async def watched(account: Account) -> list[float]:
    """Watch the jobs called odd beside a hundred that go on, and return how late their ends were seen."""
    for number in range(100):
        account.add(f"other-{number}")
    async with World.over(account) as world:
        others = [world.watch(f"other-{number}", since=0) for number in range(100)]
        late = lateness(account, await world.ends_of([name for name in account.jobs if "odd" in name]))
        for watch in others:
            watch.cancel()
    return late


def odd_jobs(**how: Any) -> Account:
    return Account(Job(f"odd-{n}", history=[(float(at), "Completed")], **how) for n, at in enumerate(ENDS))


@pytest.mark.parametrize("seconds", [2.0, 30.0])
def test_an_end_that_is_listed_late_is_seen_in_the_round_after_it_is_in_a_quiet_account(seconds: float) -> None:
    async def main() -> None:
        account = odd_jobs(late=seconds)
        late = await watched(account)

        assert late[0] >= seconds
        assert late[-1] <= seconds + 5.1

    run(main())


@pytest.mark.parametrize("how", [{"silent": True}, {"late": 600.0, "silent": True}, {"listed": False}])
def test_an_end_that_the_listing_of_changes_never_shows_is_seen_after_a_sweep(how: dict[str, Any]) -> None:
    async def main() -> None:
        late_by = how.get("late", 0.0)
        account = odd_jobs(**how)
        late = await watched(account)

        # A sweep leaves out what was shown in the half minute before it, and begins after the
        # one before by six seconds for each of its calls: two pages, and at most a description for each odd job.
        assert late[-1] <= late_by + 30 + 6 * (2 + len(ENDS)) + 2 * 5 + len(ENDS) / 5

    run(main())


def test_a_sweep_costs_a_call_for_each_hundred_jobs_in_progress_and_no_description() -> None:
    async def main() -> None:
        account = Account.of_ends(250, 1000, 1000)
        async with World.over(account) as world:
            watches = [world.watch(name, since=0) for name in account.jobs]
            await world.until(900)
            for watch in watches:
                watch.cancel()
        rounds = account.counts(100, 900)
        assert rounds.keys() == {LIST}
        pages_of_sweeps = 3 * 800 / 60
        assert 800 / 5 + 0.8 * pages_of_sweeps <= rounds[LIST] <= 800 / 4.25 + pages_of_sweeps + 3

    run(main())


def test_sweeps_of_thousands_of_jobs_are_made_the_more_seldom() -> None:
    async def main() -> None:
        account = Account.of_ends(1500, 9000, 9000)
        async with World.over(account) as world:
            watches = [world.watch(name, since=0) for name in account.jobs]
            await world.until(300)
            for watch in watches:
                watch.cancel()

        assert account.counts(30, 300)[LIST] <= 270 / 4.25 + (270 / (15 * 6)) * 15

    run(main())
