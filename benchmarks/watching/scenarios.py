"""What is run, for whom, and what must come out."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.fake_sagemaker.plan import Plan

OURS, AMAZON = "ours", "amazon"
POLL_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row group of the table."""

    name: str
    title: str
    plan: Plan
    contenders: tuple[str, ...] = (OURS,)
    """Who runs it unless `--contender` says otherwise."""
    logs: bool = False
    """Whether the triggers show their jobs' log lines live."""
    round_seconds: float = 0.1
    """Between two rounds of new triggers; Airflow's TriggerRunner takes a second, and ten thousand take it minutes."""
    settle_seconds: float = 2.0
    """From the last trigger's start to the moment from which jobs may end: for the first looks."""
    timeout: float = 90
    """Seconds after the jobs' start when a contender is given up: what it had seen until then counts."""


SCENARIOS = (
    Scenario(name="1000", title="1,000 jobs", plan=Plan(jobs=1000), contenders=(OURS, AMAZON), timeout=120),
    Scenario(
        name="1000-restart",
        title="1,000 jobs of one second, two hours old, at a triggerer's restart",
        plan=Plan(jobs=1000, created_ago=7200, created_over=0, loses_ties=True),
        round_seconds=1,
        settle_seconds=45,  # two sweeps
    ),
    Scenario(
        name="1000-throttled",
        title="1,000 jobs, throttled to 10 calls/s",
        plan=Plan(jobs=1000, throttle=10),
        contenders=(OURS, AMAZON),
        timeout=240,
    ),
    Scenario(name="5000", title="5,000 jobs", plan=Plan(jobs=5000)),
    Scenario(name="10000", title="10,000 jobs", plan=Plan(jobs=10_000)),
    Scenario(name="10000-throttled", title="10,000 jobs, throttled to 2 calls/s", plan=Plan(jobs=10_000, throttle=2)),
    Scenario(name="200", title="200 jobs that write 50 lines/s each", plan=Plan(jobs=200, lines_per_second=50)),
    Scenario(
        name="200-logs",
        title="200 jobs that write 50 lines/s each, shown live",
        plan=Plan(jobs=200, lines_per_second=50),
        logs=True,
    ),
)
