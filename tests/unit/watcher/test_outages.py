"""What outages, denials and bugs do to waiters: as little as can be."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.watcher.watches import JobOutcome

from .account import DESCRIBE, LIST, STOP, Account
from .faults import denied, during, on, server_error, unreachable
from .virtual_time import run
from .world import World, lateness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


@pytest.mark.parametrize("count", [1, 200])
def test_nobody_fails_in_an_outage_of_ten_minutes_and_the_first_look_comes_soon_after_it(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = Account.of_ends(count, 500, 1000)
        account.faults.append(during(300, 900, unreachable()))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert Counter(seen.outcome for seen in ends.values()) == {JobOutcome.ENDED: count}
        meanwhile = [seen.at for name, seen in ends.items() if account.jobs[name].ended_at() < 900]
        assert 900 < max(meanwhile) <= 900 + 31
        warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1
        assert "EndpointConnectionError" in warnings[0]

    run(main())


def test_each_outage_counts_for_itself() -> None:
    async def main() -> None:
        account = Account.of_ends(10, 3000, 3010)
        account.faults += [during(first, first + 300, unreachable()) for first in (300, 1500, 2700)]
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0, max_transient_seconds=600)

        assert lateness(account, ends)[-1] <= 31 + 2 * 5

    run(main())


def test_an_outage_ends_the_waits_whose_bound_is_over_and_only_them() -> None:
    async def main() -> None:
        account = Account.of_ends(8, 5000, 5000)
        account.faults.append(during(300, 4000, unreachable()))
        async with World.over(account) as world:
            bounds = [600, 1800, 3600, 7200]
            watches = [world.watch(f"job-{n}", max_transient_seconds=bound) for n, bound in enumerate(bounds)]
            await world.until(3700)
            latecomers = [world.watch("job-4", max_transient_seconds=200), world.watch("job-0")]
            ends = await asyncio.gather(*watches, *latecomers)

        assert [seen.outcome for seen in ends] == [
            JobOutcome.TROUBLE,
            JobOutcome.TROUBLE,
            JobOutcome.TROUBLE,
            JobOutcome.ENDED,
            JobOutcome.TROUBLE,
            JobOutcome.ENDED,
        ]
        for seen, bound in zip(ends[:3], bounds, strict=False):
            assert 0 <= seen.at - (300 + bound) <= 40
            assert "EndpointConnectionError" in str(seen.message)
            assert str(seen.message).endswith(" s)")
        assert 0 <= ends[4].at - (3700 + 200) <= 40

    run(main())


def test_a_job_whose_description_always_fails_holds_up_no_other() -> None:
    async def main() -> None:
        account = Account.of_ends(3, 100, 1000)
        account.add("ill")
        account.faults += [on(LIST, denied(LIST)), on(DESCRIBE, server_error(DESCRIBE), job_name="ill")]
        async with World.over(account) as world:
            ill = world.watch("ill", max_transient_seconds=700)
            ends = await world.ends_of(["job-0", "job-1", "job-2"])
            seen = await ill

        assert lateness(account, ends)[-1] <= 5 + 2
        assert seen.outcome is JobOutcome.TROUBLE
        assert 700 <= seen.at <= 715
        assert "DescribeProcessingJob for ill failed: InternalFailure" in str(seen.message)

    run(main())


def test_where_listing_is_denied_each_job_is_described_and_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account.of_ends(30, 60, 120)
        account.faults.append(on(LIST, denied(LIST)))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert lateness(account, ends)[-1] <= 5 + 2 * 30 / 10
        assert account.counts()[LIST] == 1
        assert len(caplog.records) == 1
        assert "Without sagemaker:ListProcessingJobs, each job needs a Describe call at each poll." in caplog.text

    run(main())


def test_where_all_stays_denied_each_wait_ends_with_the_reason_when_credentials_had_time_to_arrive() -> None:
    async def main() -> None:
        account = Account.of_ends(5, 3000, 4000)
        account.faults += [on(LIST, denied(LIST)), on(DESCRIBE, denied(DESCRIBE))]
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs)

        for seen in ends.values():
            assert (seen.outcome, 300 <= seen.at < 330) == (JobOutcome.TROUBLE, True)
            assert "DescribeProcessingJob for job-" in str(seen.message)
            assert "failed: AccessDeniedException" in str(seen.message)

    run(main())


def test_rotated_credentials_end_no_wait() -> None:
    async def main() -> None:
        account = Account.of_ends(20, 120, 150)
        account.faults.append(on(LIST, denied(LIST)))
        async with World.over(account, latency=1.0) as world:  # many calls are under way at a time
            asyncio.get_running_loop().call_later(100, setattr, account, "expired", 1)
            ends = await world.ends_of(account.jobs, since=0)

        assert Counter(seen.outcome for seen in ends.values()) == {JobOutcome.ENDED: 20}
        assert (world.connections, account.clients) == (2, 2)
        assert 2 <= sum(call.error == "ExpiredTokenException" for call in account.calls) <= 20

    run(main())


def broken(operation: str, *, filters: str = "", until: float = 1e9) -> Callable[[str, Mapping[str, Any]], Any]:
    """A bug that shows in an answer's making."""
    fault = on(operation, KeyError("bug"), until=until)
    return lambda called, request: fault(called, request) if not filters or filters in request else None


@pytest.mark.parametrize("operation", [LIST, DESCRIBE])
def test_a_bug_in_a_round_ends_every_wait_and_the_next_round_is_as_any(
    operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = Account.of_ends(10, 300, 400)
        account.faults += [broken(operation, until=50)] + [on(LIST, denied(LIST))] * (operation == DESCRIBE)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)
            await world.until(50)
            again = await world.ends_of(account.jobs, since=0)

        assert {seen[::2] for seen in ends.values()} == {(JobOutcome.TROUBLE, "KeyError: 'bug'")}
        assert max(seen.at for seen in ends.values()) < 5 + 10 / 5
        assert lateness(account, again)[-1] <= 6
        assert "The watcher failed." in caplog.text

    run(main())


def test_a_bug_in_one_description_ends_that_jobs_wait_alone_and_leaves_nothing_under_way() -> None:
    async def main() -> None:
        account = Account.of_ends(3, 300, 400)
        account.faults.append(on(DESCRIBE, KeyError("bug"), job_name="job-0"))
        world = World(account, latency=2.0)
        ends = await world.ends_of(account.jobs)
        await world.shared.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert ends.pop("job-0")[::2] == (JobOutcome.TROUBLE, "KeyError: 'bug'")
        assert lateness(account, ends)[-1] <= 5 + 2 * 2.0

    run(main())


def test_a_bug_in_a_sweep_is_logged_and_the_next_sweep_is_as_any(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account.of_ends(10, 500, 510)
        account.add("unlisted", (300, "Completed"), listed=False)
        async with World.over(account) as world:
            watches = [world.watch(name) for name in account.jobs]
            await world.until(10)
            account.faults.append(broken(LIST, filters="StatusEquals", until=250))
            seen = await watches[-1]
            ends = await asyncio.gather(*watches)

        assert {end.outcome for end in ends} == {JobOutcome.ENDED}
        assert seen.at < 300 + 70
        assert {record.message for record in caplog.records} == {
            "Reconciling the watched jobs failed; the next round tries again."
        }

    run(main())


def test_a_bug_in_a_last_look_ends_the_wait_at_its_deadline(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account.of_ends(1, 500, 500)
        account.faults.append(broken(STOP))
        async with World.over(account) as world:
            seen = await world.end_of("job-0", deadline=100)

        assert seen[::2] == (JobOutcome.DEADLINE, "KeyError: 'bug'")
        assert seen.at < 101
        assert "The last look at processing job job-0 failed." in caplog.text

    run(main())


def test_a_client_that_cannot_be_made_ends_every_wait_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account.of_ends(3, 60, 60)
        make = account.client

        def client(service: str) -> Any:
            if account.now < 20:
                raise ValueError("Invalid endpoint: nowhere")
            return make(service)

        account.client = client  # type: ignore[method-assign]  # what connecting gives
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs)
            await world.until(20)
            again = await world.ends_of(account.jobs)

        assert {seen[::2] for seen in ends.values()} == {(JobOutcome.TROUBLE, "ValueError: Invalid endpoint: nowhere")}
        assert lateness(account, again)[-1] <= 6

    run(main())


def test_credentials_that_are_missing_for_a_minute_send_nobody_away() -> None:
    async def main() -> None:
        account = Account.of_ends(200, 120, 180)
        account.faults += [during(20, 90, denied(LIST)), during(20, 90, denied(DESCRIBE))]
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert {seen.outcome for seen in ends.values()} == {JobOutcome.ENDED}

    run(main())


def test_jobs_are_described_where_only_listing_fails() -> None:
    async def main() -> None:
        account = Account.of_ends(20, 60, 120)
        account.faults.append(on(LIST, server_error(LIST)))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert {seen.outcome for seen in ends.values()} == {JobOutcome.ENDED}
        assert lateness(account, ends)[-1] <= 30

    run(main())


def test_listing_is_tried_again_some_time_after_a_denial() -> None:
    async def main() -> None:
        account = Account.of_ends(100, 1000, 1100)
        account.faults.append(on(LIST, denied(LIST), until=20))
        async with World.over(account) as world:
            await world.ends_of(account.jobs, since=0)

        assert account.counts()[LIST] > 20
        assert account.counts(900)[DESCRIBE] <= 100

    run(main())
