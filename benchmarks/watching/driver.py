"""The process that waits: runs one contender's triggers as Airflow's TriggerRunner does, and measures itself.

It reads an `Order` from standard input, prints "ready" when every trigger runs, and a `Report` at the end, all as
JSON. It runs in the contender's own environment, so it needs nothing but Airflow.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import airflow.jobs.triggerer_job_runner  # noqa: F401  # what a triggerer has loaded before its first trigger
import greenback
import structlog
from structlog.contextvars import bind_contextvars, merge_contextvars

from benchmarks.watching.contenders import CONTENDERS, Job
from benchmarks.watching.gauges import CollectorClock, CpuClock, Heartbeat, memory_kib
from benchmarks.watching.line_check import LineCheck, LogListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

NEW_EACH_ROUND = 50
SETTLE_SECONDS = 2.0
"""For the first look of the first trigger alone; and before and after, when the heartbeat is alone."""


@dataclass(frozen=True)
class Order:
    """What to run."""

    contender: str
    jobs: list[Job]
    poll_seconds: int
    logs: bool
    round_seconds: float
    settle_seconds: float
    timeout: float


@dataclass
class Report:
    """What was measured."""

    cpu_start: float = 0.0
    cpu_wait: float = 0.0
    blocked: list[float] = field(default_factory=list)
    """The longest times that the event loop was blocked, in seconds."""
    collecting: float = 0.0
    """Seconds of the longest garbage collection."""
    kib_first: int = 0
    kib_all: int = 0
    events: dict[str, tuple[float, Any]] = field(default_factory=dict)
    """By job: when the event came, in seconds since the epoch, and its payload."""
    errors: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """By `job/host`: the number of the line that should come next."""
    missing: dict[str, list[int]] = field(default_factory=dict)
    """By `job/host`: the numbers before it that didn't come."""
    line_faults: dict[str, int] = field(default_factory=dict)


class Runner:
    """What Airflow's TriggerRunner does for triggers, without its supervisor."""

    def __init__(self, make: Callable[[Job], BaseTrigger], report: Report) -> None:
        self._make = make
        self._report = report
        self.tasks: list[asyncio.Task[None]] = []

    async def create(self, jobs: list[Job], round_seconds: float) -> None:
        """Start the triggers, some each round, with a breath after each one."""
        for first in range(0, len(jobs), NEW_EACH_ROUND):
            for job in jobs[first : first + NEW_EACH_ROUND]:
                await asyncio.sleep(0)
                self.tasks.append(asyncio.create_task(self._run(job, self._make(job)), name=job.name))
            await asyncio.sleep(round_seconds)

    async def finish(self, timeout: float) -> None:
        """Wait for all triggers; cancel those that haven't ended in time."""
        _, late = await asyncio.wait(self.tasks, timeout=timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, job: Job, trigger: BaseTrigger) -> None:
        await greenback.ensure_portal()
        bind_contextvars(
            trigger_id=job.name, ti_id=None, dag_id=None, task_id=None, run_id=None, try_number=None, map_index=None
        )
        try:
            async for event in trigger.run():
                self._report.events[job.name] = (time.time(), event.payload)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this contender's failure
            self._report.errors[job.name] = f"{type(error).__name__}: {error}"
        finally:
            await trigger.cleanup()


async def drive(order: Order, answers: TextIO) -> Report:
    """Start, wait and measure."""
    report, lines = Report(), LineCheck()
    runner = Runner(CONTENDERS[order.contender](poll_seconds=order.poll_seconds, logs=order.logs), report)
    structlog.configure(  # after Airflow's own configuration, which its import brings
        processors=[merge_contextvars, LogListener(lines)],
        wrapper_class=structlog.make_filtering_bound_logger("INFO"),
        cache_logger_on_first_use=True,
    )
    gc.collect()  # what the imports left behind, a triggerer that runs for days has collected long ago
    heartbeat, collector = Heartbeat(), CollectorClock()
    beating, cpu = asyncio.create_task(heartbeat.beat()), CpuClock()
    await asyncio.sleep(SETTLE_SECONDS)
    idle_before = cpu.phase()
    await runner.create(order.jobs[:1], order.round_seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    report.kib_first = memory_kib()
    await runner.create(order.jobs[1:], order.round_seconds)
    await asyncio.sleep(order.settle_seconds)
    report.kib_all = memory_kib()
    start = cpu.phase()
    print(json.dumps("ready"), file=answers, flush=True)
    await runner.finish(order.timeout)
    wait = cpu.phase()
    await asyncio.sleep(SETTLE_SECONDS)
    idle = (idle_before, cpu.phase())
    beating.cancel()
    report.cpu_start, report.cpu_wait = start.less(idle), wait.less(idle)
    report.blocked, report.collecting = heartbeat.longest(), collector.longest
    report.lines = dict(lines.next)
    report.missing = {key: sorted(numbers) for key, numbers in lines.missing.items() if numbers}
    report.line_faults = dict(lines.faults)
    return report


def main() -> None:
    """Take the order, print the report."""
    fields = json.loads(sys.stdin.readline())
    order = Order(**fields | {"jobs": [Job(*job) for job in fields["jobs"]]})
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what Airflow's own logging prints isn't an answer
        report = asyncio.run(drive(order, answers))
        print(json.dumps(asdict(report), default=str), file=answers, flush=True)


if __name__ == "__main__":
    main()
