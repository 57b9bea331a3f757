"""Whatever jobs do and whenever they are watched: every wait ends with its job, soon after it, for few calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_processing.watcher.watches import JobOutcome

from .account import LIST, Account, Bucket
from .faults import denied, during, on, server_error, unreachable
from .virtual_time import run
from .world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .account import Job
    from .world import Seen

LATEST_LISTED = 40.0
LONGEST_OUTAGE = 90.0
LONGEST_INTERVAL = 20.0

Plan = dict[str, Any]
"""What a job does, and how it is watched."""
Outage = tuple[float, float, Exception]
"""Its start, its length, and what calls fail with."""

plans = st.fixed_dictionaries(
    {
        "ends_at": st.floats(-4000, 500),
        "runs": st.floats(1, 5000),
        "final": st.sampled_from(["Completed", "Failed", "Stopped"]),
        "stopping": st.booleans(),
        "late": st.sampled_from([0.0, 0.0, 0.0, 1.5, LATEST_LISTED]),
        "silent": st.sampled_from([False, False, False, True]),
        "listed": st.sampled_from([True, True, True, False]),
        "begins_after": st.sampled_from([0.0, 3.0, 50.0, 300.0]),
        "since_known": st.booleans(),
        "poll_interval": st.sampled_from([5.0, 10.0, LONGEST_INTERVAL]),
    }
)
troubles = st.lists(
    st.tuples(st.floats(0, 600), st.floats(0, LONGEST_OUTAGE), st.sampled_from([unreachable(), server_error(LIST)])),
    max_size=2,
)


def bound(job: Job, plans: Sequence[Plan], outages: Sequence[Outage]) -> float:
    """The longest that an end may take to be seen, in seconds.

    A sweep leaves out what was shown in the half minute before it, and begins a minute after the last, or six seconds
    for each of its calls: a page, and a description for each job; it waits for a round, and its calls for permits.
    """
    interval = max(plan["poll_interval"] for plan in plans)
    reconciler = 30 + max(60, 6 * (1 + len(plans))) + 2 * interval + len(plans)
    return job.late + reconciler + sum(length + 31 for _, length, _ in outages)


def most_calls_a_second(plans: Sequence[Plan]) -> float:
    """A description for each job or two pages, and as much again for sweeps and what is tried again."""
    return 2 * max(2, len(plans)) / (0.85 * min(plan["poll_interval"] for plan in plans))


def account_of(plans: Sequence[Plan], **options: Any) -> Account:
    account = Account(**options)
    for number, plan in enumerate(plans):
        end, runs = plan["ends_at"], plan["runs"]
        changes = [(end, plan["final"]), *([(end - runs / 2, "Stopping")] * plan["stopping"])]
        how = {key: plan[key] for key in ("late", "silent", "listed")}
        account.add(f"job-{number}", *changes, created_at=end - runs, **how)
    return account


async def watched(world: World, name: str, plan: Plan) -> tuple[float, Seen]:
    """When the watch began, and what its waiter was told."""
    job = world.account.jobs[name]
    await world.until(max(0.0, job.created_at) + plan["begins_after"])
    began = world.now
    since = job.created_at if plan["since_known"] else None
    return began, await world.end_of(name, since=since, poll_interval=plan["poll_interval"])


@settings(max_examples=30)
@given(
    st.lists(plans, min_size=1, max_size=10),
    troubles,
    st.sampled_from([-200.0, 0.0, 200.0]),
    st.booleans(),
    st.sampled_from([None, 2.0, 5.0]),
)
def test_every_wait_ends_with_its_job_and_soon_after_it_for_few_calls(
    plans: list[Plan], outages: list[Outage], clock_ahead: float, list_is_denied: bool, rate: float | None
) -> None:
    async def main() -> None:
        account = account_of(plans, clock_ahead=clock_ahead, bucket=rate and Bucket(rate))
        account.faults += [during(first, first + length, error) for first, length, error in outages]
        account.faults += [on(LIST, denied(LIST))] * list_is_denied
        async with World.over(account) as world:
            ends = await asyncio.gather(*(watched(world, f"job-{n}", plan) for n, plan in enumerate(plans)))
            lasted = world.now

        for number, (began, seen) in enumerate(ends):
            job = account.jobs[f"job-{number}"]
            assert seen.outcome is JobOutcome.ENDED
            assert 0 <= seen.at - max(job.ended_at(), began) <= bound(job, plans, outages)
        assert len(account.calls) <= lasted * most_calls_a_second(plans) + 30 * len(plans) + 60

    run(main())
