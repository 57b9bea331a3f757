"""The table at the end of a test run, made of what the rows' tests recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from .rows import ROWS
from .table import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

SOAK = "--soak"
"""The option that says how often the matrix is played."""
PLAYED = "crash matrix"
"""The property of a test's report that has the row's name and what came of it."""


def add_summary(terminal: pytest.TerminalReporter) -> None:
    """Print the table, if rows were played: how often a row failed, and what was seen."""
    failed: Counter[str] = Counter()
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for report in _reports(terminal):
        for name, outcome in [value for key, value in report.user_properties if key == PLAYED]:
            failed[name] += report.failed
            seen[name][outcome] += 1
    if seen:
        terminal.section("crash matrix")
        for line in plain(
            [row for row in ROWS if row.name in seen], {name: _told(seen[name], failed[name]) for name in seen}
        ):
            terminal.line(line)


def _reports(terminal: pytest.TerminalReporter) -> Sequence[pytest.TestReport]:
    return [report for kind in ("passed", "failed") for report in terminal.stats.get(kind, []) if report.when == "call"]


def _told(outcomes: Counter[str], failures: int) -> str:
    rounds = outcomes.total()
    outcome = "ok" if not failures else f"FAILED {failures} of {rounds}" if rounds > 1 else "FAILED"
    seen = [f"{outcome} ({count}x)" if len(outcomes) > 1 else outcome for outcome, count in outcomes.items()]
    return f"{outcome:6}  {' / '.join(seen)}"
