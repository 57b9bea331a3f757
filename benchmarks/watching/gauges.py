"""What is measured inside the process that waits."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Heartbeat:
    """How long the event loop was blocked: the longest time between two beats, so up to `PERIOD` more than the truth.

    What the loop's thread waited for a CPU that another process had isn't the contender's, and isn't counted.
    """

    PERIOD = 0.01
    """Seconds; a quicker beat would take as much CPU as what it watches."""
    LONG = 0.02
    """What is shorter isn't kept."""

    def __init__(self) -> None:
        """Accept the measure of the thread that calls, the event loop's."""
        self._schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._gaps: list[float] = []

    async def beat(self) -> None:
        """Beat until cancelled."""
        last, waited_before = time.perf_counter(), self._waited_for_cpu()
        while True:
            await asyncio.sleep(self.PERIOD)
            now, waited = time.perf_counter(), self._waited_for_cpu()
            if (gap := now - last - (waited - waited_before)) > self.LONG:
                self._gaps.append(gap)
            last, waited_before = now, waited

    def _waited_for_cpu(self) -> float:
        """Return the seconds that the thread could have run and had no CPU."""
        return int(os.pread(self._schedule, 64, 0).split()[1]) / 1e9

    def longest(self) -> list[float]:
        """Return the five longest times that something else held the loop, in seconds, longest first."""
        return sorted(self._gaps, reverse=True)[:5]


class CollectorClock:
    """CPU seconds of a garbage collection; no other thread runs meanwhile, in whichever it began."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.longest = max(self.longest, time.thread_time() - self._began)


class Phase(NamedTuple):
    """What a part of the run took."""

    cpu: float
    """Seconds over all threads."""
    wall: float

    def less(self, idle: Sequence[Phase]) -> float:
        """Return the CPU seconds without what the heartbeat takes, as phases show in which nothing else ran."""
        return self.cpu - self.wall * sum(phase.cpu for phase in idle) / sum(phase.wall for phase in idle)


class CpuClock:
    """The process's CPU seconds, phase by phase."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def phase(self) -> Phase:
        """Return what was taken since the last phase."""
        cpu, wall = time.process_time(), time.perf_counter()
        phase = Phase(cpu - self._cpu, wall - self._wall)
        self._cpu, self._wall = cpu, wall
        return phase


def memory_kib() -> int:
    """Return the memory that only this process uses (USS)."""
    return private_kib("self")


def private_kib(process: int | str) -> int:
    """Return a process's unique set size."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
