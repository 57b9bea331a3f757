"""What is left of few calls, and to whom."""

from __future__ import annotations

import asyncio

import pytest

from airflow_sm_processing.watcher.watches import JobOutcome

from .account import LIST, Account, Bucket
from .faults import denied, on
from .virtual_time import run
from .world import World, lateness


@pytest.mark.parametrize(("rate", "refused"), [(2, 30), (10, 0)])
def test_a_throttled_account_shows_a_thousand_ends_in_time_for_few_refusals_and_one_line(
    rate: float, refused: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = Account.of_ends(1000, 120.007, 420, bucket=Bucket(rate))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        late = lateness(account, ends)
        assert late[950] <= 6.5
        assert late[-1] <= 12.0
        assert account.refused() <= refused
        assert len(caplog.records) == (1 if refused else 0)

    run(main())


@pytest.mark.parametrize(("rate", "refused"), [(2, 0.10), (10, 0.03)])
def test_calls_without_end_settle_at_what_the_account_gives(
    rate: float, refused: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = Account.of_ends(100, 300, 300, bucket=Bucket(rate))
        account.faults.append(on(LIST, denied(LIST)))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert lateness(account, ends)[-1] <= 2 * 100 / (0.9 * rate)
        accepted = sum(call.error is None for call in account.calls if 100 <= call.at < 300)
        assert 0.8 <= accepted / (200 * rate) <= 1.05  # rounds leave some of the time to others
        assert account.counts()[LIST] == 1
        assert account.refused() <= refused * len(account.calls)
        throttled = [record.message for record in caplog.records if "throttles" in record.message]
        assert len(throttled) == 1

    run(main())


def test_rounds_that_last_longer_than_the_poll_interval_leave_some_calls_to_logs() -> None:
    async def main() -> None:
        account = Account.of_ends(40, 500, 500, bucket=Bucket(2))
        account.faults.append(on(LIST, denied(LIST)))
        async with World.over(account) as world:
            watches = [world.watch(name) for name in account.jobs]
            await world.until(100)
            waits = []
            while world.now < 400:
                began = world.now
                await asyncio.gather(world.shared.calls.logs("filter_log_events", "job", {}), return_exceptions=True)
                waits.append(world.now - began)
            for watch in watches:
                watch.cancel()

        assert max(waits) <= 40 / 2 * 2
        assert 15 <= len(waits) <= 150  # in five minutes, of the 600 calls that the account gives

    run(main())


def test_rounds_that_last_longer_than_the_poll_interval_leave_some_calls_to_sweeps() -> None:
    async def main() -> None:
        account = Account.of_ends(700, 900, 900, bucket=Bucket(2))  # each changes every 5 s: seven pages a look
        for job in account.jobs.values():
            job.history = [(float(moment), "InProgress") for moment in range(0, 900, 5)] + job.history
        account.add("never-listed", (200.0, "Completed"), listed=False)
        async with World.over(account) as world:
            watches = [world.watch(name, since=0) for name in account.jobs]
            seen = await watches[-1]
            for watch in watches:
                watch.cancel()

        assert seen.outcome is JobOutcome.ENDED
        assert seen.at <= 200 + 30 + 6 * 8 + 8 * 2 * 4  # the sweep's eight calls, each in a pause of its own

    run(main())


def test_where_calls_are_scarce_thousands_of_ends_are_listed_once() -> None:
    async def main() -> None:
        account = Account.of_ends(2000, 60.007, 90, bucket=Bucket(2))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert lateness(account, ends)[1900] <= 8
        assert account.counts(60)[LIST] <= 40  # twenty pages of ends, and the rounds and the sweep with few

    run(main())
