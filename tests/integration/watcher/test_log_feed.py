"""Live logs of jobs that really run, from CloudWatch as moto answers it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from blockbuster import blockbuster_ctx
from botocore.config import Config

from airflow_sm_processing.local import Fault, LocalSageMaker
from airflow_sm_processing.processing import LogLine, ProcessingJob, Processor, Session, WaitSettings
from airflow_sm_processing.processing.log_events import LogPosition
from airflow_sm_processing.watcher.client import AwsCalls
from airflow_sm_processing.watcher.log_feed import LogFeed

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("environment")

HOSTS = ("algo-1", "algo-2")
# Some lines are the same, and those have bytes that are no text. It goes on from the tenth when the gate is there. An
# argument has no newlines, and at most 256 characters.
SCRIPT = (
    "import os, sys, time; count, gate = sys.argv[1:]; "
    r"[(sys.stdout.buffer.write(b'%d\nsame \xff\n' % n), sys.stdout.flush(), time.sleep(0.1), "
    "[time.sleep(0.1) for _ in iter(lambda: n < 10 or os.path.exists(gate), True)]) for n in range(int(count))]"
)
OPEN = Path("/")
QUICK = WaitSettings(poll_interval=0.2, log_settle_seconds=1.0)


@pytest.fixture
def job_factory() -> Callable[..., ProcessingJob]:
    """Starts jobs of two hosts that write for so many tenths of a second, and wait at the gate if it isn't open."""
    processor = Processor(
        role="SageMakerRole",
        image_uri="image",
        instance_count=len(HOSTS),
        instance_type="ml.m5.large",
        entrypoint=[sys.executable, "-c"],
        sagemaker_session=Session(boto3.Session()),
    )
    return lambda tenths, gate=OPEN: processor.run(arguments=[SCRIPT, str(tenths), str(gate)], wait=False, logs=False)


def a_feed() -> LogFeed:
    """A feed over a connection of its own."""

    def connect() -> Callable[[str], Any]:
        session = boto3.Session()
        return lambda service: session.client(service, config=Config(retries={"total_max_attempts": 1}))

    return LogFeed(AwsCalls(connect, asyncio.to_thread).logs)


def written(tenths: int) -> list[str]:
    return [line for number in range(tenths) for line in (str(number), "same \ufffd")]


def of_host(lines: list[LogLine], host: str) -> list[str]:
    """What the script wrote on a host; the local SageMaker says first which Python runs it."""
    return [line.message for line in lines if line.host == host and not line.message.startswith("[local]")]


async def ended(job: ProcessingJob) -> None:
    """Wait until a job has ended, and a little."""
    await asyncio.to_thread(job.wait_for_end, logs=False, settings=QUICK)


def run(main: Any) -> None:
    with blockbuster_ctx():
        asyncio.run(main)


def test_every_line_of_a_running_job_comes_once_and_in_order_while_it_runs(
    job_factory: Callable[..., ProcessingJob], tmp_path: Path
) -> None:
    async def main() -> None:
        since, gate = time.time(), tmp_path / "gate"
        job = await asyncio.to_thread(job_factory, 30, gate)
        feed, lines, live = a_feed(), [], []
        followed = feed.follow(job.job_name, lines.extend, since=since, hosts=len(HOSTS))
        waiting = asyncio.ensure_future(ended(job))
        while not waiting.done():
            live = [*lines]
            if live:
                await asyncio.to_thread(gate.touch)
            await asyncio.sleep(0.1)
        assert await followed.settle(1)
        await feed.close()

        assert {host: of_host(lines, host) for host in HOSTS} == dict.fromkeys(HOSTS, written(30))
        assert live
        assert [line.timestamp for line in lines if line.host == "algo-1"] == sorted(
            line.timestamp for line in lines if line.host == "algo-1"
        )

    run(main())


def test_a_worker_shows_exactly_what_the_feed_has_not(
    job_factory: Callable[..., ProcessingJob], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"

    async def followed_until_lines_came(job: ProcessingJob) -> tuple[list[LogLine], str]:
        feed, lines = a_feed(), []
        came = asyncio.Event()
        followed = feed.follow(job.job_name, lambda new: (lines.extend(new), came.set()), hosts=len(HOSTS))
        await came.wait()
        await feed.close()
        return lines, json.dumps(followed.position().to_plain())

    async def main() -> tuple[ProcessingJob, list[LogLine], LogPosition]:
        job = await asyncio.to_thread(job_factory, 30, gate)
        lines, plain = await followed_until_lines_came(job)
        return job, lines, LogPosition.from_plain(json.loads(plain))

    with blockbuster_ctx():
        job, shown, position = asyncio.run(main())
    gate.touch()
    rest: list[LogLine] = []
    job.wait_for_end(settings=QUICK, sink=rest.append, log_position=position)

    assert {host: of_host(shown + rest, host) for host in HOSTS} == dict.fromkeys(HOSTS, written(30))
    assert shown
    assert rest


def test_throttles_and_lost_connections_lose_and_repeat_nothing(
    job_factory: Callable[..., ProcessingJob], sagemaker: LocalSageMaker
) -> None:
    sagemaker.set_faults(
        Fault(operation="FilterLogEvents", error="ThrottlingException", rate=0.3),
        Fault(operation="FilterLogEvents", drop="after", rate=0.2),
        Fault(operation="DescribeLogStreams", error="InternalFailure", status=500, times=1),
    )

    async def main() -> None:
        job = await asyncio.to_thread(job_factory, 30)
        feed, lines = a_feed(), []
        followed = feed.follow(job.job_name, lines.extend, hosts=len(HOSTS))
        await ended(job)
        assert await followed.settle(1)
        await feed.close()

        assert {host: of_host(lines, host) for host in HOSTS} == dict.fromkeys(HOSTS, written(30))

    run(main())


def test_the_tail_of_a_job_is_shown_at_its_end_only(job_factory: Callable[..., ProcessingJob]) -> None:
    lines: list[LogLine] = []

    job_factory(15).wait_for_end("tail", settings=QUICK, sink=lines.append)

    assert {host: of_host(lines, host) for host in HOSTS} == dict.fromkeys(HOSTS, written(15)[-20:])
