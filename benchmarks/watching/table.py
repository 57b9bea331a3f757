"""The figures side by side, with what they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.watching.scenarios import AMAZON, OURS, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.watching.measuring import Result

LATER_WITH_LOGS = 0.3
"""Seconds that two equal runs' 95th percentiles differ by, with 200 jobs whose ends fall anywhere between two looks."""


class Figure(NamedTuple):
    """One row: a figure of a scenario, and the most that it may be."""

    title: str
    value: Callable[[Result], float]
    unit: str = ""
    digits: int = 0
    most: float | None = None


def start_and_wait(result: Result) -> float:
    return result.cpu_start + result.cpu_wait


def calls(most: int | None = None) -> Figure:
    return Figure("API calls", lambda result: result.total("accepted") + result.total("throttled"), most=most)


def throttled(most: int | None = None) -> Figure:
    return Figure("  of them throttled", lambda result: result.total("throttled"), most=most)


def blocked(most: float | None = None) -> Figure:
    return Figure("event loop blocked, up to", lambda result: max(result.blocked, default=0) * 1000, " ms", 0, most)


def per_trigger(most: float | None = None) -> Figure:
    return Figure("memory per waiting trigger", lambda result: result.kib_per_trigger, " KiB", 1, most)


def memory(most: float | None = None) -> Figure:
    return Figure("memory in all, at most", lambda result: result.peak_mib, " MiB", 0, most)


def p95(most: float | None = None) -> Figure:
    return Figure("  p95", lambda result: result.percentile(0.95), " s", 2, most)


CPU_START = Figure("CPU to start", lambda result: result.cpu_start, " s", 2)
CPU_WAIT = Figure("CPU to wait", lambda result: result.cpu_wait, " s", 2)
MEDIAN = Figure("end seen after: median", lambda result: result.percentile(0.5), " s", 2)
LATEST = Figure("  latest", lambda result: result.percentile(1), " s", 2)
FAILURES = Figure("failed or unseen", lambda result: len(result.failures), most=0)

FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "1000": (
        calls(60),
        CPU_START,
        CPU_WAIT,
        Figure("  together", start_and_wait, " s", 2, 3),
        blocked(100),
        per_trigger(16),
        memory(),
        MEDIAN,
        p95(5.2),
        LATEST,
        FAILURES,
    ),
    "1000-throttled": (calls(), throttled(10), blocked(100), MEDIAN, p95(5.5), LATEST, FAILURES),
    "5000": (
        calls(200),
        CPU_START,
        CPU_WAIT,
        blocked(100),
        per_trigger(16),
        memory(260),
        MEDIAN,
        p95(5.5),
        LATEST,
        FAILURES,
    ),
    "10000": (
        calls(),
        CPU_START,
        CPU_WAIT,
        blocked(100),
        per_trigger(16),
        memory(350),
        MEDIAN,
        p95(7),
        LATEST,
        FAILURES,
    ),
    "10000-throttled": (calls(), throttled(), blocked(100), memory(350), MEDIAN, p95(7), LATEST, FAILURES),
    "200": (calls(), CPU_START, CPU_WAIT, MEDIAN, p95(), LATEST, FAILURES),
    "200-logs": (
        calls(),
        CPU_START,
        CPU_WAIT,
        blocked(100),
        memory(),
        Figure("lines shown live", lambda result: result.live_lines),
        Figure("  and by the worker that finishes", lambda result: result.lines - result.live_lines),
        Figure("  lines lost, repeated, out of order", lambda result: sum(result.line_faults.values()), most=0),
        Figure("most log calls in a second", lambda result: result.busiest_log_second, most=5),
        MEDIAN,
        p95(),
        LATEST,
        FAILURES,
    ),
}


def print_table(results: Mapping[tuple[str, str], Result]) -> None:
    """Print every figure of the results, by scenario and contender."""
    table = Table(title="Waiting for jobs: 5 s polls, jobs end over a minute", title_justify="left")
    for column in ("", "amazon provider", "ours", "must be", ""):
        table.add_column(column, justify="left" if not column else "right")
    for scenario in SCENARIOS:
        ours, amazon = (results.get((scenario.name, contender)) for contender in (OURS, AMAZON))
        if ours or amazon:
            table.add_section()
            table.add_row(f"[bold]{scenario.title}")
            for row in _rows(scenario.name, ours, amazon, results):
                table.add_row(*row)
    Console(width=None).print(table)


def _rows(
    name: str, ours: Result | None, amazon: Result | None, results: Mapping[tuple[str, str], Result]
) -> Iterator[tuple[str, ...]]:
    for figure in FIGURES[name]:
        most = figure.most
        without = results.get(("200", OURS))
        if name == "200-logs" and figure.title == p95().title and without:
            most = without.percentile(0.95) + LATER_WITH_LOGS
        bound = "" if most is None else f"≤ {most:,.{figure.digits}f}{figure.unit}"
        yield figure.title, _text(figure, amazon), _text(figure, ours), bound, _mark(figure, ours, most)


def _text(figure: Figure, result: Result | None) -> str:
    return "" if result is None else f"{figure.value(result):,.{figure.digits}f}{figure.unit}"


def _mark(figure: Figure, result: Result | None, most: float | None) -> str:
    if result is None or most is None:
        return ""
    return "[green]✓" if figure.value(result) <= most else "[red bold]✗"
