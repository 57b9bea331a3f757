"""Thousands of deferred jobs on one triggerer: this package's trigger beside the amazon provider's.

Each scenario runs in fresh processes: a fake SageMaker that counts, and one that drives the triggers as Airflow's
TriggerRunner does. `python -m benchmarks.watching --help` tells how to run a part of it.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run every scenario for every contender that can take it, and print the table."""
    from benchmarks.watching.command import run

    run([])
