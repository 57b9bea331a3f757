"""The matrix as a table: in a terminal, and for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .seen import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .playing import Outcome
    from .rows import Row

_MODES = {"in_worker": "worker", "deferred": "deferred"}


def in_words(outcome: Outcome | None) -> str:
    """Say what came of a row."""
    if outcome is None:
        return "—"
    if isinstance(outcome, Seen):
        return str(outcome)
    reasons = [line for line in outcome.splitlines() if "Error" in line]
    return f"not played: {reasons[0] if reasons else outcome.splitlines()[0]}"


def plain(rows: Sequence[Row], outcomes: Mapping[str, Outcome]) -> list[str]:
    """Give the lines of a table for a terminal, with what was seen."""
    width = max(len(row.text) for row in rows)
    return [
        f"{row.text:{width}}  {_MODES[row.mode]:8}  calls {_calls(outcomes.get(row.name))}  "
        f"{in_words(outcomes.get(row.name))}"
        for row in rows
    ]


def markdown(rows: Sequence[Row], columns: Mapping[str, Mapping[str, Outcome]]) -> list[str]:
    """Give the lines of a table for the documentation: a column for each operator."""
    head = ["at this point: this happens", "the task waits", *columns]
    lines = [head, ["---"] * len(head)]
    lines += [
        [row.text, _MODES[row.mode], *(in_words(found.get(row.name)) for found in columns.values())] for row in rows
    ]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _calls(outcome: Outcome | None) -> str:
    return str(outcome.calls) if isinstance(outcome, Seen) else "?"
