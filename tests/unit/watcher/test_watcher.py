"""What each waiter is told, when, and how many calls it costs."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.watcher.watches import Verdict

from .account import DESCRIBE, LIST, STOP, Account, Bucket, Job, World, denied, server_error, unreachable
from .virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .account import Fault, Seen


def lateness(account: Account, ends: Mapping[str, Seen]) -> list[float]:
    """Seconds from each job's end until its waiter was told that it had ended."""
    assert {seen.verdict for seen in ends.values()} == {Verdict.ENDED}
    return sorted(seen.at - account.jobs[name].ended_at() for name, seen in ends.items())


def ending(count: int, first: float, last: float, **how: Any) -> Account:
    """Jobs that end one after the other."""
    step = (last - first) / count
    return Account([Job(f"job-{n}", history=[(first + n * step, "Completed")]) for n in range(count)], **how)


def during(first: float, last: float, error: Exception) -> Fault:
    """Fail every call between two moments."""
    return lambda *_: error if first <= asyncio.get_running_loop().time() < last else None


def on(operation: str, error: Exception, job_name: str | None = None) -> Fault:
    """Fail an operation, for all jobs or for one."""
    return lambda called, request: (
        error if called == operation and job_name in {None, request.get("ProcessingJobName")} else None
    )


@pytest.mark.parametrize("count", [100, 1000])
def test_a_round_costs_one_call_for_each_hundred_changed_jobs_whatever_is_watched(count: int) -> None:
    async def main() -> None:
        account = ending(count, 600, 660)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        late = lateness(account, ends)
        assert late[0] >= 0
        assert late[-1] <= 5.2
        waiting, sweeps = account.counts(60, 600), 540 / 60
        rounds = (waiting[LIST] - sweeps * count / 100) / 540 * 5
        assert 1 <= rounds <= 1.2  # the jitter shortens a pause by up to 0.15 of it
        assert account.counts(600)[LIST] <= 660 / 5 + 20
        assert account.counts()[DESCRIBE] == 0

    run(main())


def test_one_watched_job_costs_one_call_a_round() -> None:
    async def main() -> None:
        account = Account([Job("job", history=[(3600, "Failed")])])
        async with World.over(account) as world:
            seen = await world.end_of("job", poll_interval=10)

        assert lateness(account, {"job": seen})[-1] <= 10.2
        assert account.counts().keys() == {DESCRIBE}
        assert 360 <= account.counts()[DESCRIBE] <= 424

    run(main())


def test_few_jobs_in_an_account_busy_with_others_are_described_and_listing_is_tried_again_later() -> None:
    async def main() -> None:
        account = ending(10_000, 0, 3600)  # 14 a round, which two pages of ten don't hold
        account._page_size = 5
        for name in ("one", "two"):
            account.add(name, (3600, "Completed"))
        async with World.over(account) as world:
            ends = await world.ends_of(["one", "two"])

        assert lateness(account, ends)[-1] <= 5.5
        rounds = 3600 / 4.625
        assert account.counts()[DESCRIBE] == pytest.approx(2 * rounds, rel=0.05)
        assert account.counts()[LIST] < 0.15 * rounds
        assert account.counts(3000, 3500)[LIST] > 0

    run(main())


@pytest.mark.parametrize("since", [-7200.0, None])
def test_a_restarted_triggerer_sees_what_ended_before_in_its_first_round(since: float | None) -> None:
    async def main() -> None:
        account = ending(1000, -3600, 400)  # 900 have ended already
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=since)

        gone = {name: seen for name, seen in ends.items() if account.jobs[name].ended_at() < 0}
        assert len(gone) == 900
        assert {seen.verdict for seen in gone.values()} == {Verdict.ENDED}
        assert max(seen.at for seen in gone.values()) < 70  # 900 calls, at a pace that begins with 5 a second
        assert account.counts(0, 70)[DESCRIBE] <= 920

    run(main())


def test_what_ended_a_little_before_its_watch_began_is_listed() -> None:
    async def main() -> None:
        account = ending(1000, -60, 60)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=-100)

        assert max(seen.at for name, seen in ends.items() if account.jobs[name].ended_at() < 0) < 8
        assert account.counts(0, 8) == Counter({LIST: 8})

    run(main())


@pytest.mark.parametrize("clock_ahead", [-300.0, 300.0])
def test_a_clock_that_is_wrong_by_minutes_costs_no_more(clock_ahead: float) -> None:
    async def main() -> None:
        account = ending(500, -60, 60, clock_ahead=clock_ahead)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=-100)
        assert max(seen.at for name, seen in ends.items() if account.jobs[name].ended_at() < 0) < 8
        assert max(seen.at - account.jobs[name].ended_at() for name, seen in ends.items() if seen.at > 8) < 5.2
        assert account.counts()[DESCRIBE] == 0

    run(main())
