from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import AccessDeniedError, JobNotFoundError, TransientError

from .account import DESCRIBE, Account, Bucket
from .faults import during, server_error, unreachable
from .virtual_time import run
from .world import World

if TYPE_CHECKING:
    from collections.abc import Callable


async def described(world: World, name: str = "job") -> Any:
    answer = await world.shared.calls.sagemaker("describe_processing_job", name, {"ProcessingJobName": name})
    return answer["ProcessingJobStatus"]


def world_of_a_job(**options: Any) -> World:
    account = Account(**options)
    account.add("job")
    return World(account)


async def closed(world: World) -> None:
    await world.shared.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_clients_are_made_once_for_all_who_call() -> None:
    async def main() -> None:
        world = world_of_a_job()
        await world.shared.calls.prepare()
        assert await asyncio.gather(*(described(world) for _ in range(10))) == ["InProgress"] * 10
        await asyncio.gather(*(world.shared.calls.logs("filter_log_events", "job", {}) for _ in range(3)))
        assert world.account.clients == 2
        await closed(world)

    run(main())


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (None, JobNotFoundError, "ResourceNotFound"),
        (server_error(DESCRIBE), TransientError, "InternalFailure"),
        (unreachable(), TransientError, "EndpointConnectionError"),
    ],
)
def test_a_call_is_tried_once_and_fails_with_our_error(
    fault: Exception | None, error: type[TransientError], code: str
) -> None:
    async def main() -> None:
        world = world_of_a_job()
        world.account.faults += [during(0, 100, fault)] if fault else []
        with pytest.raises(error, match=r"^DescribeProcessingJob for absent failed: ") as raised:
            await described(world, "absent")
        assert (raised.value.operation, raised.value.code) == (DESCRIBE, code)
        assert world.account.counts() == {DESCRIBE: 1}
        await closed(world)

    run(main())


def test_a_refusal_slows_the_calls_of_its_service_only() -> None:
    async def main() -> None:
        world = world_of_a_job(bucket=Bucket(1, 3))
        calls = world.shared.calls
        for _ in range(3):
            await described(world)
        fast = calls.permits.rate
        with pytest.raises(TransientError, match="ThrottlingException"):
            await calls.logs("filter_log_events", "job", {})
        assert calls.permits.rate == fast
        with pytest.raises(TransientError, match="ThrottlingException"):
            await described(world)
        assert calls.permits.rate < fast
        await closed(world)

    run(main())


def test_status_calls_go_before_log_calls_of_which_there_are_five_a_second_at_most() -> None:
    async def main() -> None:
        world = world_of_a_job()
        await asyncio.sleep(50)
        logs = [world.shared.calls.logs("filter_log_events", "job", {}) for _ in range(60)]
        statuses = [described(world) for _ in range(20)]
        await asyncio.gather(*logs, *statuses)
        called = [(call.operation, call.at) for call in world.account.calls]
        moments = [at for operation, at in called if operation == "FilterLogEvents"]
        assert max(sum(first <= at < first + 1 for at in moments) for first in moments) <= 5
        assert [operation for operation, _ in called[:21]].count(DESCRIBE) >= 19
        await closed(world)

    run(main())


def test_no_log_call_comes_between_the_pages_of_a_listing() -> None:
    async def main() -> None:
        account = Account.of_ends(400, 0, 1)
        account.add("job")
        world = World(account)
        watches = [world.watch(name, since=-10) for name in account.jobs]
        await asyncio.sleep(4)

        async def read_logs() -> None:
            while True:
                await world.shared.calls.logs("filter_log_events", "job", {})

        reading = asyncio.ensure_future(read_logs())
        await asyncio.sleep(6)
        operations = "".join(call.operation[0] for call in account.calls)
        assert "L" * 6 in operations.replace("D", "")  # four pages of Completed, one of Failed, one of Stopped
        assert operations.count("F") >= 15
        for task in (reading, *watches):
            task.cancel()
        await asyncio.gather(reading, *watches, return_exceptions=True)
        await closed(world)

    run(main())


def test_denied_credentials_are_renewed_once_a_minute_at_most() -> None:
    async def main() -> None:
        world = world_of_a_job()
        world.account.expired = 10
        outcomes = []
        for _ in range(200):
            try:
                outcomes.append(await described(world))
            except AccessDeniedError:
                outcomes.append("denied")
            await asyncio.sleep(3)
        assert 9 <= world.account.clients <= 1 + world.now // 60
        assert set(outcomes) == {"denied"}
        world.account.expired = world.account.clients
        await asyncio.sleep(60)
        assert await described(world) == "InProgress"
        await closed(world)

    run(main())


def test_a_connection_that_fails_is_tried_anew_by_the_next_call() -> None:
    async def main() -> None:
        world = world_of_a_job()
        make: Callable[[str], Any] = world.account.client
        troubles: list[Exception] = [ValueError("Invalid endpoint"), TransientError("No.", operation="", code="")]

        def client(service: str) -> Any:
            if troubles:
                raise troubles.pop(0)
            return make(service)

        world.account.client = client  # type: ignore[method-assign]  # what connecting gives
        with pytest.raises(ValueError, match="Invalid endpoint"):
            await described(world)
        with pytest.raises(TransientError, match="No"):
            await described(world)
        assert await described(world) == "InProgress"
        await closed(world)

    run(main())


def test_one_callers_cancellation_is_not_anothers() -> None:
    async def main() -> None:
        world = world_of_a_job()
        first, second = (asyncio.ensure_future(described(world)) for _ in range(2))
        await asyncio.sleep(0.02)  # the client is being made
        first.cancel()
        assert await second == "InProgress"
        assert world.account.clients == 1
        await closed(world)

    run(main())


def test_closing_waits_for_clients_that_are_being_made() -> None:
    async def main() -> None:
        world = World(Account(), latency=10)
        call = asyncio.ensure_future(described(world))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await closed(world)
        assert world.account.clients == 0

    run(main())


def test_an_unknown_method_is_a_bug_and_says_so() -> None:
    async def main() -> None:
        world = world_of_a_job()
        world.account.client = lambda _: SimpleNamespace(meta=SimpleNamespace(method_to_api_mapping={}))  # type: ignore[method-assign]
        with pytest.raises(KeyError, match="describe_processing_job"):
            await described(world)
        await closed(world)

    run(main())
