"""What comes of a job whose waiter has a deadline, and of one that is to be stopped."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from airflow_sm_processing.exceptions import AccessDeniedError, JobNotFoundError, TransientError
from airflow_sm_processing.processing.aws_calls import RetryBudget
from airflow_sm_processing.watcher.client import now
from airflow_sm_processing.watcher.watcher import has_ended, stop_job
from airflow_sm_processing.watcher.watches import JobOutcome

from .account import DESCRIBE, STOP, Account
from .faults import denied, during, on, server_error, unreachable
from .virtual_time import run
from .world import Seen, World


async def seen_at_deadline(account: Account, **options: object) -> Seen:
    """What the waiter for `job` is told that has a deadline at 100 s."""
    async with World.over(account) as world:
        return await world.end_of("job", deadline=100, poll_interval=30, **options)


def test_at_its_deadline_a_job_is_looked_at_once_more_and_stopped() -> None:
    async def main() -> None:
        account = Account()
        job = account.add("job")
        seen = await seen_at_deadline(account)

        assert seen == Seen(JobOutcome.DEADLINE, pytest.approx(100.1, abs=0.01), None)
        assert account.counts(99.9) == {DESCRIBE: 1, STOP: 1}
        assert job.status(110) == "Stopped"

    run(main())


def test_a_job_that_ended_since_the_last_round_has_ended_at_its_deadline() -> None:
    async def main() -> None:
        account = Account()
        account.add("job", (99.0, "Completed"))
        seen = await seen_at_deadline(account)

        assert seen == Seen(JobOutcome.ENDED, pytest.approx(100.05, abs=0.01), None)
        assert account.counts()[STOP] == 0

    run(main())


def test_a_job_that_ends_between_the_last_look_and_the_stop_is_left_alone() -> None:
    async def main() -> None:
        account = Account()
        job = account.add("job", (100.05, "Completed"))
        seen = await seen_at_deadline(account)

        assert seen[::2] == (JobOutcome.DEADLINE, None)
        assert job.status(200) == "Completed"
        assert account.counts()[STOP] == 1

    run(main())


def test_without_stop_at_deadline_the_job_goes_on() -> None:
    async def main() -> None:
        account = Account()
        job = account.add("job")
        seen = await seen_at_deadline(account, stop_at_deadline=False)

        assert (seen.outcome, job.status(10_000)) == (JobOutcome.DEADLINE, "InProgress")
        assert account.counts()[STOP] == 0

    run(main())


def test_a_deadline_that_has_passed_counts_at_once() -> None:
    async def main() -> None:
        account = Account()
        account.add("job")
        async with World.over(account) as world:
            seen = await world.end_of("job", deadline=-50)

        assert seen == Seen(JobOutcome.DEADLINE, pytest.approx(0.2, abs=0.01), None)  # the clients are made first

    run(main())


def test_one_waiters_deadline_is_not_anothers() -> None:
    async def main() -> None:
        account = Account()
        account.add("job")
        async with World.over(account) as world:
            other = world.watch("job", poll_interval=30)
            first = await world.end_of("job", deadline=100, stop_at_deadline=False)
            account.jobs["job"].history = [(200.0, "Completed")]
            second = await other

        assert (first.outcome, second.outcome) == (JobOutcome.DEADLINE, JobOutcome.ENDED)
        assert 200 < second.at < 231

    run(main())


def test_a_stop_that_is_denied_is_told_with_the_deadline() -> None:
    async def main() -> None:
        account = Account()
        account.add("job")
        account.faults.append(on(STOP, denied(STOP)))
        seen = await seen_at_deadline(account)

        assert seen.outcome is JobOutcome.DEADLINE
        assert "StopProcessingJob for job failed: AccessDeniedException" in str(seen.message)

    run(main())


def test_a_deadline_in_an_outage_is_told_within_seconds_with_what_failed() -> None:
    async def main() -> None:
        account = Account()
        account.add("job")
        account.faults.append(during(90, 1000, unreachable()))
        seen = await seen_at_deadline(account)

        assert seen.outcome is JobOutcome.DEADLINE
        assert 120 <= seen.at <= 123
        assert "DescribeProcessingJob for job failed: EndpointConnectionError" in str(seen.message)

    run(main())


def test_a_thousand_deadlines_at_once_stop_a_thousand_jobs_at_two_calls_each() -> None:
    async def main() -> None:
        account = Account.of_ends(1000, 9000, 9000)
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0, deadline=30)

        assert Counter(seen[::2] for seen in ends.values()) == {(JobOutcome.DEADLINE, None): 1000}
        assert {job.status(9999) for job in account.jobs.values()} == {"Stopped"}
        calls = account.counts(30)
        assert (calls[DESCRIBE], calls[STOP]) == (1000, 1000)
        assert max(seen.at for seen in ends.values()) <= 30 + 2000 / 20 + 20  # 20 a second, after a slower beginning

    run(main())


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_to_stop_a_job_that_has_ended_is_no_error(status: str) -> None:
    async def main() -> None:
        account = Account()
        job = account.add("job", (-5.0, status))
        async with World.over(account) as world:
            await stop_job(world.shared.calls, "job", RetryBudget(10, clock=now))
        assert job.status(100) == status

    run(main())


def test_to_stop_a_job_again_that_is_stopping_is_no_error() -> None:
    async def main() -> None:
        account = Account()
        account.add("job", (-5.0, "Stopping"))
        async with World.over(account) as world:
            await stop_job(world.shared.calls, "job", RetryBudget(10, clock=now))

    run(main())


def test_a_stop_is_tried_again_until_it_reaches_the_service() -> None:
    async def main() -> None:
        account = Account()
        job = account.add("job")
        account.faults.append(during(0, 60, server_error(STOP)))
        async with World.over(account) as world:
            await stop_job(world.shared.calls, "job", RetryBudget(100, clock=now))
            assert 60 <= world.now <= 63
        assert job.status(100) == "Stopped"

    run(main())


@pytest.mark.parametrize(
    ("fault", "error"),
    [(unreachable(), TransientError), (denied(DESCRIBE), AccessDeniedError), (None, JobNotFoundError)],
)
def test_whether_a_job_has_ended_may_not_be_told(fault: Exception | None, error: type[Exception]) -> None:
    async def main() -> None:
        account = Account()
        account.faults += [during(0, 1000, fault)] if fault else []
        async with World.over(account) as world:
            with pytest.raises(error):
                await has_ended(world.shared.calls, "job", RetryBudget(10, clock=now))
            assert world.now <= 13

    run(main())


def test_a_waiter_that_gives_up_before_its_deadline_leaves_its_job_alone() -> None:
    async def main() -> None:
        account = Account()
        account.add("job")
        async with World.over(account) as world:
            watch = world.watch("job", deadline=100)
            await world.until(99)
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await world.until(200)
        assert account.counts()[STOP] == 0

    run(main())
