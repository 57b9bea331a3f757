"""The figures that are shown, and what the best of them must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.watching.measuring import Result

LATER_WITH_LOGS = 0.3
"""Seconds that the 95th percentiles of two equal runs differ by: 200 ends fall anywhere between two looks."""


class Figure(NamedTuple):
    """One row."""

    title: str
    value: Callable[[Result], float]
    unit: str = ""
    digits: int = 0

    def text(self, value: float) -> str:
        """Show a value with its unit."""
        return f"{value:,.{self.digits}f}{self.unit}"


CALLS = Figure("API calls", lambda result: result.total("accepted") + result.total("throttled"))
CALLS_TO_START = Figure("  to start", lambda result: result.calls_to_start)
THROTTLED = Figure("  throttled", lambda result: result.total("throttled"))
CPU_START = Figure("CPU to start", lambda result: result.cpu_start, " s", 2)
CPU_WAIT = Figure("  to wait", lambda result: result.cpu_wait, " s", 2)
CPU = Figure("  together", lambda result: result.cpu_start + result.cpu_wait, " s", 2)
BLOCKED = Figure("event loop blocked, up to", lambda result: max(result.blocked, default=0) * 1000, " ms")
COLLECTING = Figure("  garbage collected, up to", lambda result: result.collecting * 1000, " ms")
PER_TRIGGER = Figure("memory per waiting trigger", lambda result: result.kib_per_trigger, " KiB", 1)
MEMORY = Figure("  in all, at most", lambda result: result.peak_mib, " MiB")
MEDIAN = Figure("end seen after: median", lambda result: result.percentile(0.5), " s", 2)
P95 = Figure("  p95", lambda result: result.percentile(0.95), " s", 2)
LATEST = Figure("  latest", lambda result: result.percentile(1), " s", 2)
FAILURES = Figure("failed or unseen", lambda result: len(result.failures))
ALL = (
    *(CALLS, CALLS_TO_START, THROTTLED, CPU_START, CPU_WAIT, CPU, BLOCKED, COLLECTING, PER_TRIGGER, MEMORY),
    *(MEDIAN, P95, LATEST, FAILURES),
)

LIVE_LINES = Figure("lines shown live", lambda result: result.live_lines)
REST_LINES = Figure("  and by the worker that finishes", lambda result: result.lines - result.live_lines)
BAD_LINES = Figure("  lost, repeated, out of order", lambda result: sum(result.line_faults.values()))
LOG_CALLS = Figure("log calls", lambda result: result.total("accepted", "Log") + result.total("throttled", "Log"))
BUSIEST_LOG_SECOND = Figure("  most in any one second", lambda result: result.busiest_log_second)
BUSIEST_FILTER_SECOND = Figure("    of FilterLogEvents", lambda result: result.busiest_second("FilterLogEvents"))
OF_LOGS = (LIVE_LINES, REST_LINES, BAD_LINES, LOG_CALLS, BUSIEST_LOG_SECOND, BUSIEST_FILTER_SECOND)

MUST_BE: Mapping[str, Mapping[Figure, float]] = {
    "1000": {CALLS: 60, CPU: 3, BLOCKED: 100, PER_TRIGGER: 16, P95: 5.2, FAILURES: 0},
    "1000-restart": {CALLS: 90, CALLS_TO_START: 50, CPU: 3, P95: 5.2, FAILURES: 0},
    "1000-throttled": {P95: 5.5, THROTTLED: 10, FAILURES: 0},
    "5000": {CALLS: 200, MEMORY: 260, P95: 5.5, FAILURES: 0},
    "10000": {MEMORY: 350, P95: 7, FAILURES: 0},
    "10000-throttled": {MEMORY: 350, P95: 7, FAILURES: 0},
    # The last five seconds of 200 jobs: what is more wasn't shown while it was written.
    "200-logs": {REST_LINES: 200 * 50 * 5, BAD_LINES: 0, BUSIEST_LOG_SECOND: 5, FAILURES: 0},
}
"""The most that a figure may be, by scenario."""


def figures(*, logs: bool) -> tuple[Figure, ...]:
    """Return the figures of a scenario."""
    return (*ALL, *OF_LOGS) if logs else ALL


def bounds(scenario: str, without_logs: Result | None) -> dict[Figure, float]:
    """Return what a scenario's figures may be; status must come no later with live logs than without."""
    later = {P95: P95.value(without_logs) + LATER_WITH_LOGS} if scenario == "200-logs" and without_logs else {}
    return {**MUST_BE.get(scenario, {}), **later}
