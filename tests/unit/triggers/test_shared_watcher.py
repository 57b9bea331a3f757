"""Triggers of one connection share a lookout, whose first user makes it and whose last closes it."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.triggers import shared_watcher as module
from airflow_sm_processing.triggers.shared_watcher import shared_watcher
from airflow_sm_processing.watcher.watches import JobOutcome, Watch

CONNECTION = AwsConnection(aws_conn_id="aws_shared")


@pytest.fixture(autouse=True)
def connection(monkeypatch):
    fields = {"conn_type": "aws", "login": "AKIA", "password": "secret", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_SHARED", json.dumps(fields))


def left_behind():
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("airflow-sm-processing")]
    return dict(module._shared), asyncio.all_tasks() - {asyncio.current_task()}, threads


async def settled():
    """Return what is left behind once the threads of a closed pool have seen that they may end."""
    for _ in range(200):
        if not any(left_behind()):
            break
        await asyncio.sleep(0.01)
    return left_behind()


NOTHING = ({}, set(), [])


def test_200_triggers_of_a_connection_share_one_lookout():
    async def one():
        async with shared_watcher(CONNECTION) as shared:
            await shared.calls.prepare()
            return id(shared)

    async def many():
        return await asyncio.gather(*(one() for _ in range(200))), await settled()

    lookouts, left = asyncio.run(many())
    assert (len(lookouts), len(set(lookouts))) == (200, 1)
    assert left == NOTHING


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (AwsConnection(aws_conn_id="aws_shared", region_name="us-west-2"), False),
        (AwsConnection(aws_conn_id="aws_shared", default_bucket="another", default_bucket_prefix="place"), True),
    ],
    ids=["another region", "another bucket, which watching doesn't need"],
)
def test_what_is_shared(other, same):
    async def two():
        async with shared_watcher(CONNECTION) as one, shared_watcher(other) as another:
            return one is another

    assert asyncio.run(two()) is same


def test_two_event_loops_do_not_share_a_lookout():
    both_inside = threading.Barrier(2, timeout=30)
    lookouts = []

    async def one():
        async with shared_watcher(CONNECTION) as shared:
            lookouts.append(shared)
            await asyncio.to_thread(both_inside.wait)

    loops = [threading.Thread(target=lambda: asyncio.run(one())) for _ in range(2)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert len({id(shared) for shared in lookouts}) == 2
    assert module._shared == {}


@pytest.mark.parametrize("after", [0, 0.5], ids=["while the client is made", "while it waits"])
def test_a_user_that_is_cancelled_leaves_nothing_behind(after):
    async def cancelled():
        inside = asyncio.Event()

        async def use():
            async with shared_watcher(CONNECTION) as shared:
                inside.set()
                await shared.jobs.end_of(Watch(job_name="a-job", poll_interval=60))

        task = asyncio.create_task(use())
        await inside.wait()
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled(), await settled()

    assert asyncio.run(cancelled()) == (True, NOTHING)


def test_a_connection_that_cannot_be_used_is_told_to_all_who_wait():
    async def wait(connection):
        async with shared_watcher(connection) as shared:
            return await shared.jobs.end_of(Watch(job_name="a-job", poll_interval=0.05))

    async def both():
        bad = AwsConnection(aws_conn_id="aws_shared", botocore_config={"bogus": 1})
        return await asyncio.gather(wait(bad), wait(bad)), await settled()

    ends, left = asyncio.run(both())
    assert [end.outcome for end in ends] == [JobOutcome.TROUBLE] * 2
    assert "botocore_config" in str(ends[0].message)
    assert left == NOTHING
