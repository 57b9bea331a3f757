from __future__ import annotations

import asyncio
from typing import Any

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.processing.values import DEFAULT_POLL_INTERVAL
from airflow_sm_processing.watcher.watches import JobEnd, JobOutcome, Watch, Watches

from .virtual_time import run

ENDED = JobEnd(JobOutcome.ENDED)


def watching(*names: str, **options: Any) -> tuple[Watches, list[Watch]]:
    watches, added = Watches(), [Watch(job_name=name, **options) for name in names]
    for watch in added:
        watches.add(watch)
    return watches, added


def test_an_end_is_told_to_all_who_wait_for_the_job_and_to_no_other() -> None:
    async def main() -> None:
        watches, (first, other, second) = watching("a", "b", "a")
        watches.seen("a", has_ended=True)
        assert (first.end.result(), second.end.result(), other.end.done()) == (ENDED, ENDED, False)
        assert (watches.job_names, list(watches), len(watches)) == (["b"], [other], 1)

    run(main())


def test_a_waiter_is_told_once() -> None:
    async def main() -> None:
        watches, (watch,) = watching("a")
        watches.over("a", ENDED)
        watch.over(JobEnd(JobOutcome.DEADLINE))
        watches.over("a", JobEnd(JobOutcome.UNKNOWN))
        watches.remove(watch)
        assert watch.end.result() == ENDED

    run(main())


def test_a_job_that_is_not_there_is_told_to_those_who_do_not_wait_for_it_to_be_made() -> None:
    async def main() -> None:
        watches, (patient,) = watching("a", may_be_missing=True)
        other = Watch(job_name="a")
        watches.add(other)
        watches.failed("a", TransientError("Too fast.", operation="DescribeProcessingJob", code="Throttling"))
        watches.unknown("a", "There is no a.")
        assert (other.end.result(), patient.end.done()) == (JobEnd(JobOutcome.UNKNOWN, "There is no a."), False)
        assert (watches.of("a"), patient.failing_since) == ((patient,), None)
        watches.seen("a", has_ended=True)
        assert patient.end.result() == ENDED

    run(main())


def test_one_of_two_waiters_may_go() -> None:
    async def main() -> None:
        watches, (first, second) = watching("a", "a")
        watches.remove(first)
        watches.remove(first)
        assert watches.of("a") == (second,)
        watches.remove(second)
        assert ("a" in watches, len(watches), watches.of("a")) == (False, 0, ())

    run(main())


def test_the_poll_interval_is_the_shortest_of_those_who_still_wait() -> None:
    async def main() -> None:
        watches, (slow,) = watching("a", poll_interval=60)
        quick = [Watch(job_name=name, poll_interval=2) for name in ("b", "c")]
        for watch in quick:
            watches.add(watch)
        assert watches.poll_interval == 2
        watches.over("b", ENDED)
        watches.remove(quick[0])
        assert watches.poll_interval == 2
        watches.remove(quick[1])
        assert watches.poll_interval == 60
        watches.remove(slow)
        assert watches.poll_interval == DEFAULT_POLL_INTERVAL

    run(main())


def test_a_job_that_cannot_be_looked_at_is_looked_for_anew_and_let_go_when_its_time_is_over() -> None:
    async def main() -> None:
        watches, (patient, impatient) = watching("a", "a", max_transient_seconds=100, looked_at=True)
        impatient.max_transient_seconds = 10
        error = TransientError("It failed.", operation="DescribeProcessingJob", code="InternalFailure")
        await asyncio.sleep(1)
        watches.failed("a", error)
        assert watches.newcomers() == [patient, impatient]
        await asyncio.sleep(10)
        watches.failed("a", error)
        assert impatient.end.result() == JobEnd(JobOutcome.TROUBLE, "It failed. (failing for 10 s)")
        assert watches.newcomers() == [patient]
        watches.seen("a", has_ended=False)
        await asyncio.sleep(95)
        watches.failed("a", error)
        assert not patient.end.done()

    run(main())
