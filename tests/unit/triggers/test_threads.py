"""Blocking calls stay off the event loop, and triggers of one connection share a hook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time

import pytest
from asgiref.sync import async_to_sync
from blockbuster import BlockingError

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.triggers import threads
from airflow_sm_processing.triggers.threads import in_thread, shared_hook

CONNECTION = AwsConnection(aws_conn_id="aws_threads")


@pytest.fixture(autouse=True)
def connection(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_THREADS", json.dumps({"conn_type": "aws", "extra": {"region_name": "eu-west-1"}})
    )


def test_a_blocking_call_on_the_event_loop_fails_here():
    async def block():
        time.sleep(0.01)  # noqa: ASYNC251  # the very thing that is to be found

    with pytest.raises(BlockingError):
        asyncio.run(block())


def test_a_blocking_function_runs_beside_the_event_loop():
    async def ask():
        here = threading.get_ident()
        return here, await in_thread(lambda: (time.sleep(0.01), threading.get_ident())[1])

    here, there = asyncio.run(ask())
    assert here != there


def test_a_blocking_function_finds_its_way_back_to_the_event_loop():
    """As Airflow's get_connection does in a triggerer, whose loop owns the supervisor's socket."""

    async def there_and_back():
        async def loop():
            return asyncio.get_running_loop()

        return asyncio.get_running_loop(), await in_thread(async_to_sync(loop))

    here, found = asyncio.run(there_and_back())
    assert here is found


def test_a_cancellation_on_the_way_back_is_not_lost():
    async def cancelled():
        on_the_way = asyncio.Event()

        async def ends_as_if_nothing_had_happened():
            on_the_way.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

        task = asyncio.create_task(in_thread(async_to_sync(ends_as_if_nothing_had_happened)))
        await on_the_way.wait()
        task.cancel("a user did it")
        with pytest.raises(asyncio.CancelledError, match="a user did it"):
            await task

    asyncio.run(cancelled())


def test_an_error_in_the_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(lambda: 1 // 0))


def test_a_cancellation_arrives_with_its_message():
    """Airflow calls a trigger's on_kill only if the message says that a user ended the task."""

    async def cancelled():
        task = asyncio.create_task(in_thread(time.sleep, 0.3))
        await asyncio.sleep(0.05)
        task.cancel("a user did it")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value.args, asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(cancelled()) == (("a user did it",), set())


def test_200_triggers_of_a_connection_share_one_hook():
    async def one():
        async with shared_hook(CONNECTION) as hook:
            await asyncio.sleep(0)
            return hook

    async def many():
        return await asyncio.gather(*(one() for _ in range(200)))

    hooks = asyncio.run(many())
    assert len(hooks) == 200
    assert len({id(hook) for hook in hooks}) == 1
    assert hooks[0].session.boto_region_name == "eu-west-1"
    assert threads._shared == {}


def test_other_settings_are_another_hook():
    async def two():
        async with (
            shared_hook(CONNECTION) as one,
            shared_hook(AwsConnection(aws_conn_id="aws_threads", region_name="us-west-2")) as other,
        ):
            return one is not other, one.session.boto_region_name, other.session.boto_region_name

    assert asyncio.run(two()) == (True, "eu-west-1", "us-west-2")


def test_two_event_loops_do_not_share_a_hook():
    both_inside = threading.Barrier(2, timeout=30)
    hooks = []

    async def one():
        async with shared_hook(CONNECTION) as hook:
            hooks.append(hook)
            await in_thread(both_inside.wait)

    loops = [threading.Thread(target=lambda: asyncio.run(one())) for _ in range(2)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert len({id(hook) for hook in hooks}) == 2
    assert threads._shared == {}


def test_a_user_that_is_cancelled_leaves_nothing_behind():
    async def cancelled():
        inside = asyncio.Event()

        async def use():
            async with shared_hook(CONNECTION):
                inside.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(use())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled(), dict(threads._shared), asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(cancelled()) == (True, {}, set())


def test_a_user_that_is_cancelled_while_the_hook_is_made_leaves_nothing_behind():
    async def cancelled():
        async def use():
            async with shared_hook(CONNECTION):
                raise AssertionError("was cancelled before")

        task = asyncio.create_task(use())
        await asyncio.sleep(0)
        (making,) = (shared.hook for shared in threads._shared.values())
        task.cancel()
        await asyncio.gather(task, making, return_exceptions=True)
        return task.cancelled(), making.cancelled(), dict(threads._shared)

    assert asyncio.run(cancelled()) == (True, True, {})


def test_one_users_cancellation_does_not_touch_the_others():
    async def two():
        async def use():
            async with shared_hook(CONNECTION) as hook:
                return hook

        leaver, stayer = asyncio.create_task(use()), asyncio.create_task(use())
        await asyncio.sleep(0)
        leaver.cancel()
        return await stayer

    assert asyncio.run(two()).aws_conn_id == "aws_threads"


def test_a_hook_that_cannot_be_made_fails_all_its_users_and_is_tried_anew():
    bad = AwsConnection(botocore_config={"bogus": 1})

    async def use(connection):
        async with shared_hook(connection) as hook:
            return hook

    async def all_of_them():
        first = await asyncio.gather(use(bad), use(bad), return_exceptions=True)
        return first, dict(threads._shared), await asyncio.gather(use(bad), return_exceptions=True)

    first, shared, again = asyncio.run(all_of_them())
    assert [type(error) for error in (*first, *again)] == [DefinitionError] * 3
    assert shared == {}
