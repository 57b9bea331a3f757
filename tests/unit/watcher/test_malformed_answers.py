"""Answers that can't be read, and calls that hang, cost a look or a round, and end no watch."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import MalformedResponseError, TransientError
from airflow_sm_processing.watcher.completions import CompletionHistory, JobFilter, look_for_completions
from airflow_sm_processing.watcher.log_feed import LogFeed
from airflow_sm_processing.watcher.watches import JobOutcome
from tests.malformed_answers import DESCRIBE as DESCRIPTIONS
from tests.malformed_answers import LIST as LISTINGS
from tests.malformed_answers import LOGS, ODD_DESCRIPTIONS, STREAMS, TAGS, Malformed

from .account import DESCRIBE, LIST, Account, Job
from .log_world import Follower
from .log_world import World as LogWorld
from .virtual_time import START, run
from .wire import Wire
from .world import Hang, World, lateness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

POLL = 5.0
ON_TIME = POLL + 0.1
A_POLL_LATE = 2 * POLL + 0.1
FILTERED = LOGS[:-4]
"""Those that are of FilterLogEvents too."""
AGAIN = Malformed("again", lambda body: json.dumps({**json.loads(body), "nextToken": "x"}).encode())


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire("sagemaker", "logs")


@pytest.fixture
def account_factory(wire: Wire) -> Callable[..., Account]:
    """Makes accounts of healthy jobs, that are asked through the wire."""

    def make(count: int = 4, first: float = 30, last: float = 60) -> Account:
        wire.forget()
        account = Account.of_ends(count, first, last)
        wire.leads_to(account.client("sagemaker"))
        account.client = wire.client  # type: ignore[method-assign]  # what connecting gives
        return account

    return make


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.message for record in caplog.records if record.levelno >= logging.WARNING)


@pytest.mark.parametrize("answer", LISTINGS, ids=str)
def test_one_listing_that_cannot_be_read_makes_no_end_late(
    answer: Malformed, wire: Wire, account_factory: Callable[..., Account], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = account_factory()
        account.add("long", (100.0, "Completed"))  # so that listing goes on until the last of the others has ended
        account.add("longer", (100.0, "Completed"))
        async with World.over(account) as world:
            watches = asyncio.ensure_future(world.ends_of(account.jobs, since=0))
            await world.until(10)
            wire.spoil(LIST, [answer])
            ends = await watches

        assert wire.left(LIST) == []
        assert lateness(account, ends)[-1] <= A_POLL_LATE
        assert "The watcher failed" not in said(caplog)
        if said(caplog):
            assert "ListProcessingJobs" in said(caplog)
            assert "unreadable response" in said(caplog) or "can be read" in said(caplog)

    run(main())


def test_listings_of_which_none_can_be_read_for_a_while_make_no_end_late_by_more_than_a_poll(
    wire: Wire, account_factory: Callable[..., Account], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = account_factory(20, 20, 400)
        async with World.over(account) as world:
            watches = asyncio.ensure_future(world.ends_of(account.jobs, since=0))
            await world.until(15)
            wire.spoil(LIST, LISTINGS)
            ends = await watches

        assert lateness(account, ends)[-1] <= A_POLL_LATE
        assert "The watcher failed" not in said(caplog)
        assert len(LISTINGS) >= 35
        assert len(said(caplog).splitlines()) <= 5

    run(main())


@pytest.mark.parametrize("answer", DESCRIPTIONS, ids=str)
def test_a_job_whose_description_cannot_be_read_is_waited_for_and_holds_up_no_other(
    answer: Malformed, wire: Wire, account_factory: Callable[..., Account], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = account_factory()
        account.add("ill", (40.0, "Completed"), listed=False)
        async with World.over(account) as world:
            wire.always_spoil(DESCRIBE, answer, about="ill")
            watches = {name: world.watch(name) for name in account.jobs}
            await world.until(90)
            others = {name: await watch for name, watch in watches.items() if name != "ill"}
            can_be_read = watches["ill"].done()
            wire.forget()
            ends = {**others, "ill": await watches["ill"]}

        assert lateness(account, others)[-1] <= ON_TIME + 1
        assert ends["ill"].outcome is JobOutcome.ENDED
        assert "The watcher failed" not in said(caplog)
        if not can_be_read:
            assert ends["ill"].at <= 90 + 75
            assert "DescribeProcessingJob for ill returned an unreadable response" in said(caplog)
            assert len(said(caplog).splitlines()) <= 3

    run(main())


@pytest.mark.parametrize("answer", ODD_DESCRIPTIONS, ids=str)
def test_an_odd_description_is_read_and_a_status_that_is_not_known_is_said_once(
    answer: Malformed, wire: Wire, account_factory: Callable[..., Account], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        account = account_factory(1, 60, 60)
        async with World.over(account) as world:
            wire.always_spoil(DESCRIBE, answer)
            watch = world.watch("job-0")
            await world.until(50)
            assert not watch.done()
            wire.forget()
            assert (await watch).outcome is JobOutcome.ENDED

        status = answer.id.removeprefix("status ") if answer.id.startswith("status") else None
        assert said(caplog) == (
            f"Processing job job-0 is {status}, a status that this version doesn't know: still waiting for its end."
            if status
            else ""
        )

    run(main())


def test_a_status_that_is_not_known_ends_no_wait_in_a_listing_either(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account(
            Job(f"job-{n}", history=[(10, "Deleting"), (30, "Deleting"), (60 + n, "Completed")]) for n in range(4)
        )
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert lateness(account, ends)[-1] <= ON_TIME
        assert Counter(record.message.split(",")[0] for record in caplog.records) == {
            f"Processing job job-{n} is Deleting": 1 for n in range(4)
        }

    run(main())


def test_a_summary_without_a_status_costs_its_own_job_a_look(
    wire: Wire, account_factory: Callable[..., Account], caplog: pytest.LogCaptureFixture
) -> None:
    answer = next(answer for answer in LISTINGS if str(answer) == "a summary without ProcessingJobStatus")

    async def main() -> None:
        account = account_factory(6)
        async with World.over(account) as world:
            wire.always_spoil(LIST, answer)
            ends = await world.ends_of(account.jobs, since=0)

        assert lateness(account, ends)[-1] <= A_POLL_LATE
        assert "ListProcessingJobs shows processing job job-0 with no status that can be read" in said(caplog)

    run(main())


def test_a_token_that_repeats_ends_a_listing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account.of_ends(30, 30, 90)
        client = account.client("sagemaker")
        listed = client.list_processing_jobs

        def again(**request: Any) -> Mapping[str, Any]:
            request.pop("NextToken", None)
            return {**listed(**request), "NextToken": "again"}

        client.list_processing_jobs = again
        account.client = lambda _: client  # type: ignore[method-assign]  # what connecting gives
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)

        assert lateness(account, ends)[-1] <= A_POLL_LATE + 30 / 5
        assert account.counts()[LIST] <= 200

    run(main())


def hanging(operation: str, seconds: float, *, about: str | None = None, each: int = 1) -> Callable[..., None]:
    """A fault: calls that aren't answered, of one job or of all; each so manieth."""
    calls = 0

    def fault(called: str, request: Mapping[str, Any]) -> None:
        nonlocal calls
        if called == operation and about in {None, request.get("ProcessingJobName")}:
            calls += 1
            if calls % each == 0:
                raise Hang(seconds)

    return fault


@pytest.mark.parametrize("seconds", [4.0, 20.0, 1000.0])
def test_a_description_that_hangs_holds_up_no_other_job(seconds: float) -> None:
    async def main() -> None:
        account = Account.of_ends(4, 30, 60)
        account.add("ill", (40.0, "Completed"), listed=False)
        account.faults.append(hanging(DESCRIBE, seconds, about="ill"))
        async with World.over(account) as world:
            watches = {name: world.watch(name) for name in account.jobs}
            await world.until(90)
            others = {name: await watch for name, watch in watches.items() if name != "ill"}
            account.faults.clear()
            ends = {**others, "ill": await watches["ill"]}
            await world.until(1500)

        assert lateness(account, others)[-1] <= ON_TIME
        assert (ends["ill"].outcome, ends["ill"].at <= 90 + 75) == (JobOutcome.ENDED, True)

    run(main())


@pytest.mark.parametrize("each", [2, 3])
@pytest.mark.parametrize("seconds", [20.0, 200.0])
def test_a_listing_that_hangs_is_asked_for_again_meanwhile(seconds: float, each: int) -> None:
    async def main() -> None:
        account = Account.of_ends(20, 30.3, 130.3)
        account.faults.append(hanging(LIST, seconds, each=each))
        async with World.over(account) as world:
            ends = await world.ends_of(account.jobs, since=0)
            await world.until(600)

        assert lateness(account, ends)[-1] <= A_POLL_LATE

    run(main())


def test_a_call_that_is_not_answered_in_time_is_given_up_in_words_that_name_it() -> None:
    async def main() -> None:
        account = Account.of_ends(1, 900, 900)
        account.faults.append(hanging(DESCRIBE, 500))
        async with World.over(account) as world:
            with pytest.raises(TransientError) as caught:
                await world.shared.calls.sagemaker("describe_processing_job", "job-0", {"ProcessingJobName": "job-0"})
            assert world.now <= 31
            await world.until(600)

        assert str(caught.value) == (
            "DescribeProcessingJob for job-0 was not answered in full within 30 s. It may work later."
        )

    run(main())


class _Logs(LogWorld):
    """A feed whose calls go over the wire."""

    def over(self, wire: Wire) -> _Logs:
        from airflow_sm_processing.watcher.client import AwsCalls

        wire.forget()
        wire.leads_to(
            self.client, {"filter_log_events": "FilterLogEvents", "describe_log_streams": "DescribeLogStreams"}
        )

        async def in_thread(function: Callable[[], Any]) -> Any:
            await asyncio.sleep(0.05)
            return function()

        self.calls = AwsCalls(lambda: wire.client, in_thread)
        self.feed = LogFeed(self.calls.logs, streams_a_call=100)
        return self


@pytest.mark.parametrize(
    ("operation", "answer"),
    [("FilterLogEvents", answer) for answer in FILTERED] + [("DescribeLogStreams", answer) for answer in STREAMS],
    ids=str,
)
def test_logs_that_cannot_be_read_for_a_while_are_off_for_nobody_and_lose_no_line(
    operation: str, answer: Malformed, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        world = _Logs().over(wire)
        followers = {name: Follower(world.feed, name, hosts=1) for name in ("one", "two")}
        for name in followers:
            for second in range(1, 40):
                world.write(f"{name}/algo-1-17", f"line {second}", after=second)
        wire.always_spoil(operation, answer)
        await world.until(12)
        wire.forget()
        await world.until(70)

        for follower in followers.values():
            assert not follower.log.is_off
            assert [line for line in follower.messages if line != "late"] == [f"line {n}" for n in range(1, 40)]
            follower.log.close()
        assert "are off" not in caplog.text
        await world.feed.close()
        await world.calls.close()

    run(main())


def test_one_stream_that_cannot_be_read_holds_up_no_other(wire: Wire) -> None:
    async def main() -> None:
        world = _Logs().over(wire)
        names = [f"job-{n}" for n in range(8)]
        followers = {name: Follower(world.feed, name, hosts=1) for name in names}
        for name in names:
            for second in range(1, 60):
                world.write(f"{name}/algo-1-17", f"line {second}", after=second)
        bad = next(answer for answer in FILTERED if str(answer).startswith("an event with message"))
        wire.always_spoil("FilterLogEvents", bad, about="job-3/")
        await world.until(60)
        for name in names:
            messages = followers[name].messages
            assert (len(messages) >= 40) is (name != "job-3"), name
            followers[name].log.close()
        await world.feed.close()
        await world.calls.close()

    run(main())


@pytest.mark.parametrize("operation", ["DescribeLogStreams", "FilterLogEvents"])
def test_a_token_of_logs_that_repeats_does_not_lead_round_for_ever(operation: str, wire: Wire) -> None:
    async def main() -> None:
        world = _Logs().over(wire)
        follower = Follower(world.feed, "job", hosts=2)
        world.write("job/algo-1-17", "a", after=1)
        wire.always_spoil(operation, AGAIN)
        await world.until(30)
        assert len(world.client.requests) <= 30 * 5
        assert not follower.log.is_off
        wire.forget()
        await world.until(90)
        assert follower.messages == ["a"]
        follower.log.close()
        await world.feed.close()
        await world.calls.close()

    run(main())


@pytest.mark.parametrize("answer", [answer for answer in TAGS if answer.length is None], ids=str)
def test_tags_that_cannot_be_read_are_a_trouble_that_may_pass(answer: Malformed, wire: Wire) -> None:
    async def main() -> None:
        account = Account()
        listing = {
            "ProcessingJobSummaries": [
                {
                    "ProcessingJobName": name,
                    "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{name}",
                    "ProcessingJobStatus": "Completed",
                    "CreationTime": START,
                    "LastModifiedTime": START + 1,
                }
                for name in ("job", "other")
            ]
        }
        wire.forget()
        wire._methods = {LIST: lambda **_: listing, "ListTags": lambda **_: {"Tags": [{"Key": "a", "Value": "b"}]}}
        account.client = wire.client  # type: ignore[method-assign]  # what connecting gives
        async with World.over(account) as world:
            ledger = CompletionHistory(began_at=START, looked_at=START)
            wire.spoil("ListTags", [answer])
            with pytest.raises(MalformedResponseError, match="ListTags for job"):
                await look_for_completions(world.shared.calls, JobFilter(tags={"a": "b"}), ledger)
            look = await look_for_completions(world.shared.calls, JobFilter(tags={"a": "b"}), ledger)
            assert [completion.job_name for completion in look.news] == ["job", "other"]
            bad = next(spoilt for spoilt in LISTINGS if str(spoilt) == "a summary without ProcessingJobName")
            wire.spoil(LIST, [bad])
            look = await look_for_completions(world.shared.calls, JobFilter(tags={"a": "b"}), ledger)
            assert [completion.job_name for completion in look.news] == ["other"]

    run(main())
