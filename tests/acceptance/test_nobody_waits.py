"""A job is stopped exactly when nobody waits for it any more: the same with the wait in a worker and deferred.

The crash matrix has the plain cases: tasks marked and cleared, runs and tasks that time out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from .runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.airflow_services import RunningAirflow

    from .runs import Gate, JobLine
    from .triggerers import Triggerers

    Act = Callable[[Run], None]

MODES = {"in_worker": "running", "deferred": "deferred"}
"""The states in which a task waits for its job."""
# What a log says when `on_kill` is over: a trigger's in Airflow's own words, a worker's in ours.
TRIGGER_KILLED = re.compile(r"invoking on_kill$[\s\S]*^trigger completed$", re.MULTILINE)
TASK_KILLED = re.compile(r"^Processing job \S+ goes on without its task", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An end of the wait that isn't the job's, and what it makes of task and job."""

    dag: str = "waits_{mode}"
    task_id: str
    act: Act | None = None
    """What a user does; None leaves it to time."""
    task_ends: str
    job_ends: str = "Stopped"


@dataclass(frozen=True)
class Acted:
    """A task whose wait was ended."""

    run: Run
    job_name: str
    """The job that it waited for."""


def mark(task_id: str, state: str) -> Act:
    return lambda run: run.mark(task_id, state)


CASES = {
    "slow task cleared": Case(
        dag="waits_{mode}_slow_to_start", task_id="waits", act=lambda run: run.clear("waits"), task_ends="success"
    ),
    "run marked failed": Case(
        dag="waits_{mode}_alone", task_id="waits", act=lambda run: run.mark_run("failed"), task_ends="failed"
    ),
    "execution_timeout": Case(task_id="exceeds_execution_timeout", task_ends="failed"),
    "max_wait": Case(task_id="exceeds_max_wait", task_ends="failed"),
    "stop_on_kill=False": Case(
        task_id="goes_on", act=mark("goes_on", "failed"), task_ends="failed", job_ends="Completed"
    ),
}


@pytest.fixture(scope="module")
def acted(airflow: RunningAirflow, gate_factory: Callable[[], Gate]) -> dict[tuple[str, str], Acted]:
    """The tasks of all cases in both modes, after the users' actions, in runs that go on at once."""
    keys = [(mode, name) for mode in MODES for name in CASES]
    dags = {case.dag.format(mode=mode) for case in CASES.values() for mode in MODES}
    runs = {dag_id: Run(airflow, dag_id, gate=gate_factory()) for dag_id in dags}
    return {(mode, name): act(CASES[name], runs[CASES[name].dag.format(mode=mode)], MODES[mode]) for mode, name in keys}


def act(case: Case, run: Run, waiting: str) -> Acted:
    """End a wait as the case says."""
    if case.act is None:
        return Acted(run, run.submitted_job(case.task_id))
    run.until_task_waits(case.task_id, waiting)
    acted = Acted(run, run.submitted_job(case.task_id))
    case.act(run)
    return acted


@pytest.fixture(params=MODES)
def acted_in(request: pytest.FixtureRequest, acted: dict[tuple[str, str], Acted]) -> Callable[[str], Acted]:
    """Returns a case's task in the mode at hand."""
    return lambda name: acted[request.param, name]


STOPPED = [name for name, case in CASES.items() if case.job_ends == "Stopped"]
CLEARED = ["slow task cleared"]
"""Its `on_kill` comes while the next try is running already, but hasn't deleted the old one's XComs yet."""


@pytest.mark.parametrize("name", STOPPED)
def test_the_job_is_stopped(name: str, acted_in: Callable[[str], Acted], last_status_of: Callable[[str], str]) -> None:
    assert last_status_of(acted_in(name).job_name) == "Stopped"


@pytest.mark.parametrize("name", [name for name in STOPPED if name not in CLEARED])
def test_the_task_has_the_state_of_what_ended_it(name: str, acted_in: Callable[[str], Acted]) -> None:
    assert acted_in(name).run.end_of(CASES[name].task_id) == CASES[name].task_ends


def test_the_pages_are_told_that_the_job_is_stopping(acted_in: Callable[[str], Acted]) -> None:
    acted = acted_in("run marked failed")
    assert acted.run.end_of("waits") == "failed"
    told = lambda: acted.run.xcoms("waits")["_job"]["status"] in {"Stopping", "Stopped"}  # noqa: E731
    acted.run.until(told, "the record to say so, long before the next look")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("max_wait", r"Processing job \S+ had not ended after 15 s"),
        ("execution_timeout", r"AirflowTaskTimeout"),
    ],
)
def test_a_wait_that_took_too_long_is_the_reason_in_the_tasks_log(
    name: str, reason: str, acted_in: Callable[[str], Acted]
) -> None:
    run = acted_in(name).run
    run.end_of(CASES[name].task_id)
    assert re.search(reason, run.log(CASES[name].task_id))


@pytest.mark.parametrize("name", CLEARED)
def test_a_cleared_tasks_new_try_has_a_job_of_its_own_that_goes_on(
    name: str,
    acted_in: Callable[[str], Acted],
    status_of: Callable[[str], str],
    last_status_of: Callable[[str], str],
) -> None:
    cleared, task_id = acted_in(name), CASES[name].task_id
    new = cleared.run.submitted_job(task_id, other_than=cleared.job_name)
    assert status_of(new) == "InProgress"
    cleared.run.open_gate()
    assert cleared.run.end_of(task_id) == "success"
    assert last_status_of(new) == "Completed"


def test_stop_on_kill_false_lets_the_job_go_on(
    acted_in: Callable[[str], Acted], last_status_of: Callable[[str], str]
) -> None:
    left = acted_in("stop_on_kill=False")
    left.run.until(lambda: is_killed(left.run.log("goes_on")), "the task to be told of its end")
    assert left.run.task("goes_on").state == "failed"
    left.run.open_gate()
    assert last_status_of(left.job_name) == "Completed"


def is_killed(log: str) -> bool:
    return bool(TRIGGER_KILLED.search(log) or TASK_KILLED.search(log))


@pytest.fixture
def waiting(airflow: RunningAirflow, triggerers: Triggerers, gate_factory: Callable[[], Gate]) -> Run:
    """A run of one deferred task, while one triggerer has its trigger and another could take it."""
    triggerers.at_least(2)
    run = Run(airflow, "waits_deferred_alone", gate=gate_factory(), conf={"poll_interval": "1"})
    run.until_task_waits("waits", "deferred")
    return run


def test_a_triggerers_restart_stops_no_job_and_loses_no_line(
    waiting: Run,
    triggerers: Triggerers,
    last_status_of: Callable[[str], str],
    written_lines: Callable[[str], list[JobLine]],
) -> None:
    job_name, starts = waiting.submitted_job("waits"), waiting.trigger_starts("waits")
    triggerers.stop(triggerers.numbered(waiting.task("waits").triggerer))
    waiting.until(lambda: waiting.trigger_starts("waits") > starts, "another triggerer to take the trigger")
    waiting.open_gate()
    assert waiting.end_of("waits") == "success"
    assert (waiting.submitted_job("waits"), last_status_of(job_name)) == (job_name, "Completed")
    assert set(waiting.job_lines("waits")) == set(written_lines(job_name))


def test_a_triggerer_that_was_frozen_and_lost_its_triggers_stops_no_job_and_loses_no_line(
    waiting: Run,
    triggerers: Triggerers,
    last_status_of: Callable[[str], str],
    written_lines: Callable[[str], list[JobLine]],
) -> None:
    """Airflow 3.3 calls the trigger's `on_kill` then, as if a user had acted on the task."""
    job_name, first = waiting.submitted_job("waits"), triggerers.numbered(waiting.task("waits").triggerer)
    with triggerers.frozen(first):
        waiting.until(
            lambda: waiting.task("waits").triggerer not in {None, first.number}, "another triggerer to take the trigger"
        )
    waiting.until(lambda: bool(TRIGGER_KILLED.search(waiting.log("waits"))), "on_kill of the frozen trigger")
    waiting.open_gate()
    assert waiting.end_of("waits") == "success"
    assert (waiting.submitted_job("waits"), last_status_of(job_name)) == (job_name, "Completed")
    assert set(waiting.job_lines("waits")) == set(written_lines(job_name))
