"""`python -m benchmarks.watching`: which scenarios, for whom."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.watching.measuring import Result, measure
from benchmarks.watching.scenarios import AMAZON, OURS, SCENARIOS
from benchmarks.watching.table import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.watching.scenarios import Scenario


def run(arguments: Sequence[str]) -> None:
    """Measure what the command line asks for, and print the table."""
    chosen = _parser().parse_args(arguments)
    results: dict[tuple[str, str], Result] = {}
    for scenario in SCENARIOS:
        if not chosen.only or scenario.name in chosen.only:
            for contender in _contenders(scenario, chosen.contender):
                print(f"{scenario.title}: {contender} …", file=sys.stderr, flush=True)
                results[scenario.name, contender] = measure(scenario, contender)
    print_table(results)
    if chosen.json:
        named = {f"{scenario} {contender}": asdict(result) for (scenario, contender), result in results.items()}
        chosen.json.write_text(json.dumps(named, indent=1))


def _contenders(scenario: Scenario, asked: str | None) -> Sequence[str]:
    if asked is None:
        return scenario.contenders
    return () if asked == AMAZON and scenario.logs else (asked,)  # the amazon provider's trigger shows no logs


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watching",
        description="Measure triggers that wait for thousands of processing jobs.",
        epilog=(
            "A scenario takes our trigger about 75 s and the amazon provider's up to 8 minutes. The amazon provider "
            "runs only the scenarios of 1,000 jobs by itself: 5,000 take it 9 GB of memory. Ask for them with "
            "--only 5000 --contender amazon."
        ),
    )
    parser.add_argument("--only", action="append", metavar="SCENARIO", help=f"a scenario, may be repeated: {names}")
    parser.add_argument("--contender", choices=(OURS, AMAZON), help="one contender for every scenario")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to a file")
    return parser
