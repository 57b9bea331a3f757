from __future__ import annotations

import asyncio

import pytest

from airflow_sm_processing.watcher.client import Permits, Priority, now

from .account import Bucket
from .virtual_time import run


async def granted(permits: Permits, count: int, priority: Priority = Priority.STATUS) -> list[float]:
    """When as many permits were given that were asked for together, in seconds."""

    async def one() -> float:
        await permits.acquire(priority)
        return round(now(), 3)

    return list(await asyncio.gather(*(one() for _ in range(count))))


def test_after_a_pause_some_go_at_once_and_the_rest_at_the_pace() -> None:
    async def main() -> None:
        await asyncio.sleep(100)
        assert await granted(Permits(rate=5), 6) == [100.0, 100.0, 100.0, 100.2, 100.4, 100.6]

    run(main())


def test_without_a_burst_there_are_never_more_than_the_rate_in_any_second() -> None:
    async def main() -> None:
        permits = Permits(rate=4.5, burst=0)
        await asyncio.sleep(100)
        moments = await granted(permits, 50)
        assert max(sum(first <= moment < first + 1 for moment in moments) for first in moments) == 5
        assert moments[-1] - moments[0] == pytest.approx(49 / 4.5, abs=0.01)

    run(main())


def test_status_goes_before_logs_and_logs_before_sweeps() -> None:
    async def main() -> None:
        permits, order = Permits(rate=1, burst=0), []

        async def one(priority: Priority) -> None:
            await permits.acquire(priority)
            order.append(priority)

        await permits.acquire()
        wanted = [Priority.RECONCILE, Priority.LOGS, Priority.STATUS, Priority.LOGS, Priority.STATUS]
        await asyncio.gather(*(one(priority) for priority in wanted))
        assert order == sorted(wanted)

    run(main())


def test_while_something_is_urgent_only_status_calls_go() -> None:
    async def main() -> None:
        permits = Permits(rate=10)
        with permits.urgent():
            logs = asyncio.ensure_future(granted(permits, 1, Priority.LOGS))
            with permits.urgent():
                assert await granted(permits, 4) == [0.0, 0.0, 0.0, 0.1]
            await asyncio.sleep(5)
            assert not logs.done()
        assert await logs == [5.1]

    run(main())


def test_a_waiter_that_gave_up_takes_no_permit_from_the_others() -> None:
    async def main() -> None:
        permits = Permits(rate=1, burst=0)
        await permits.acquire()
        gone = [asyncio.ensure_future(permits.acquire()) for _ in range(10)]
        await asyncio.sleep(0.5)
        for waiter in gone:
            waiter.cancel()
        assert await granted(permits, 2) == [1.0, 2.0]

    run(main())


def test_each_success_makes_it_faster_up_to_the_ceiling() -> None:
    async def main() -> None:
        permits = Permits(rate=5, ceiling=7)
        for _ in range(5):
            permits.succeeded()
        assert permits.rate == pytest.approx(6)
        for _ in range(50):
            permits.succeeded()
        assert permits.rate == 7

    run(main())


def test_a_burst_of_refusals_counts_once_and_no_number_of_them_stops_all() -> None:
    async def main() -> None:
        permits = Permits(rate=10)
        for _ in range(20):
            permits.throttled()
        assert permits.rate == pytest.approx(6)
        for _ in range(100):
            await asyncio.sleep(100)
            permits.throttled()
        assert permits.rate == pytest.approx(0.1)
        assert (await granted(permits, 1))[0] <= 100 * 100 + 30

    run(main())


@pytest.mark.parametrize("limit", [2, 10])
def test_it_finds_what_an_account_gives_and_keeps_near_it(limit: float, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        permits, bucket, refused, accepted = Permits(name="SageMaker"), Bucket(limit), [], []
        while now() < 900:
            await permits.acquire()
            if bucket.takes(now()):
                permits.succeeded()
                accepted.append(now())
            else:
                permits.throttled()
                refused.append(now())

        assert len([moment for moment in accepted if moment > 60]) >= 0.9 * limit * 840
        assert len(refused) <= 0.1 * len(accepted)
        assert [record.message[:26] for record in caplog.records] == ["SageMaker throttles calls:"]

    run(main())
