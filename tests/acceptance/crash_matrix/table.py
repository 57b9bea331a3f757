"""The matrix as a table: in a terminal, and for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .seen import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .playing import Outcome
    from .rows import Row

MODES = {"in_worker": "worker", "deferred": "deferred"}
"""Where a task waits, in a word."""


def in_words(outcome: Outcome) -> str:
    """Return what came of a row."""
    if isinstance(outcome, Seen):
        return str(outcome)
    reasons = [line for line in outcome.splitlines() if "Error: " in line]
    return f"not played: {reasons[0] if reasons else outcome}"


def plain(rows: Sequence[Row], told: Mapping[str, str]) -> list[str]:
    """Return the lines of a table for a terminal, with what is told of each row by its name."""
    width = max(len(row.text) for row in rows)
    return [f"{row.text:{width}}  {MODES[row.mode]:8}  {told[row.name]}" for row in rows]


def markdown(rows: Sequence[Row], columns: Mapping[str, Mapping[str, Outcome]]) -> list[str]:
    """Return the lines of a table for the documentation: a column for each operator."""
    head = ["at this point: this happens", "the task waits", *columns]
    lines = [head, ["---"] * len(head)]
    lines += [[row.text, MODES[row.mode], *(in_words(found[row.name]) for found in columns.values())] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
