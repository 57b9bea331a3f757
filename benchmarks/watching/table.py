"""The figures side by side, with what they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.watching.figures import bounds, figures
from benchmarks.watching.scenarios import AMAZON, OURS, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.watching.measuring import Result
    from benchmarks.watching.scenarios import Scenario

WIDTH = 110
TROUBLES = 5
"""How many of a run's are shown."""


def print_table(results: Mapping[tuple[str, str], Result]) -> None:
    """Print every figure of the results, by scenario and contender."""
    table = Table(title="Waiting for jobs: 5 s polls, jobs end over a minute", title_justify="left")
    for column in ("", "amazon provider", "ours", "must be", ""):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for scenario in SCENARIOS:
        if any((scenario.name, contender) in results for contender in (OURS, AMAZON)):
            table.add_section()
            table.add_row(f"[bold]{scenario.title}")
            for row in _rows(scenario, results):
                table.add_row(*row)
    console = Console()
    console.width = max(console.width, WIDTH)  # a file or a pipe counts as 80
    console.print(table)
    for (name, contender), result in results.items():
        troubles = list(_troubles(result))
        for trouble in troubles[:TROUBLES]:
            console.print(f"{name}, {contender}: {trouble}", markup=False, highlight=False)
        if len(troubles) > TROUBLES:
            console.print(f"{name}, {contender}: … and {len(troubles) - TROUBLES} more")


def _troubles(result: Result) -> Iterator[str]:
    yield from (f"{count} lines {fault}" for fault, count in result.line_faults.items())
    yield from result.complaints
    yield from (f"{job}: {failure}" for job, failure in result.failures.items())


def _rows(scenario: Scenario, results: Mapping[tuple[str, str], Result]) -> Iterator[tuple[str, ...]]:
    ours, amazon = (results.get((scenario.name, contender)) for contender in (OURS, AMAZON))
    most = bounds(scenario.name, results.get(("200", OURS)))
    for figure in figures(logs=scenario.logs):
        cells = ("" if result is None else figure.text(figure.value(result)) for result in (amazon, ours))
        bound = most.get(figure)
        if bound is None:
            yield (figure.title, *cells)
        else:
            mark = "" if ours is None else "[green]✓" if figure.value(ours) <= bound else "[red bold]✗"
            yield (figure.title, *cells, f"≤ {figure.text(bound)}", mark)
